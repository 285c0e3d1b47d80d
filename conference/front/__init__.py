"""A gateway: a process that answers halls from a state which it folds hot, and asks the leader for what it decides."""
