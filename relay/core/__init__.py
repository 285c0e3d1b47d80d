"""Sans-IO protocol machines and decisions of a relay. Time is an argument; nothing here opens a socket."""
