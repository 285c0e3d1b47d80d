"""How many rounds the chaos trials do, and the first seed: from the environment, as `make chaos` sets it."""

from __future__ import annotations

import os

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "0"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
