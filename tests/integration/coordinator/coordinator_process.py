"""A coordinator as a process of its own: `coordinator_process.py STATE_DIR SNAPSHOT_EVERY`."""

from __future__ import annotations

import sys
from pathlib import Path

from conference.app import run_coordinator
from conference.config import CoordinatorConfig
from monitoring.log_config import configure_logging

if __name__ == "__main__":
    configure_logging("coordinator", json=True, level="warning")
    run_coordinator(
        CoordinatorConfig(
            port=0, state_dir=Path(sys.argv[1]), snapshot_every=int(sys.argv[2]), lease_s=5, heartbeat_s=0.2
        )
    )
