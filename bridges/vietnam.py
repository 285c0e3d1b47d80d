"""The administrative units of Việt Nam that come with the product; see `bridges/data/README.md` for their origin."""

from __future__ import annotations

from importlib.resources import files

from bridges.unit_tables import parse_units
from bridges.units import Unit


def load_vietnam_units() -> list[Unit]:
    """34 provincial units and 3,321 communes in force since 1 July 2025 (Quyết định 19/2025/QĐ-TTg)."""
    return parse_units(files("bridges").joinpath("data", "vietnam_units_2025.csv").read_bytes(), {})
