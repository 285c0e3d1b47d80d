"""Where halls and relays hang: pure, deterministic placement, on paper before the day and live on it.

`loads`: a relay and what is charged to it. `overflow`: how far a relay is from a hall. `paths`: which losses cut a
relay off. `tree`: each relay's parents. `pool`: the next best relay for one hall. `proof`: every loss walked. `plan`: a
whole country at once. The coordinator decides about single halls with the pool and the tree that a plan is made with.
"""
