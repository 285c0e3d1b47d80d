"""Making a report in a process of its own: what it is told, and who asks for it."""
