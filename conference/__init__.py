"""The coordinator: lifecycle, planner, assignment, journal, API, reports and the command line."""
