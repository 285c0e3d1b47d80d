"""The journal for many machines: one Redis stream, its writer's epoch and a snapshot, under keys with one hash tag."""
