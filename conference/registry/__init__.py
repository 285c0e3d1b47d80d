"""The register of units and halls: its rules, its history, proposals about it."""
