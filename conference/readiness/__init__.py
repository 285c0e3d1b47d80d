"""Readiness of halls before the day: pre-checks, sign-offs, rehearsals, whom to phone."""
