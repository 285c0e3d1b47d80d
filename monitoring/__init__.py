"""Metrics, health, structured logs and service discovery. Imports nothing else of the project."""
