"""Halls (điểm cầu): units, registry, presence, attendance, and the agent that runs in a hall."""
