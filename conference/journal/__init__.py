"""The append-only journal of typed events; one contract, one backend a file."""
