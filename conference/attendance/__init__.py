"""Attendance from three sources: rolled up over two trees, closed, corrected."""
