"""Planning on paper, before the day: what to plan for, what the plan comes to in figures, and its picture. Pure.

The plan itself is made by `conference.planner`, which the coordinator uses on the day.
"""
