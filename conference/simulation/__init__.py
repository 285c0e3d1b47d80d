"""A conference under virtual time: the coordinator's own code against modelled relays, halls, lines and a store."""
