"""Individual check-in: who is on a roster, what was scanned and marked, and how it counts."""
