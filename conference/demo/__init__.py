"""The demo: a nationwide conference on one machine, through the same programs that run a real one."""
