"""The shells of a relay: sockets, HTTP, the control connection."""
