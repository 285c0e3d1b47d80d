"""Fuzz the CSV imports: any bytes give units or halls, or `ImportFailedError`, and nothing else.

Run `python tests/fuzz/fuzz_csv.py tests/fuzz/corpus/csv -atheris_runs=20000`; `test_fuzz_csv.py` runs the corpus alone.
"""

from __future__ import annotations

from contextlib import suppress

from instrumenting import fuzz, instrumented

with instrumented(__name__, "bridges"):
    from bridges.errors import ImportFailedError
    from bridges.importing import HallUnits, parse_halls, serialize_halls_csv
    from bridges.unit_tables import parse_units
    from bridges.units import Unit

KNOWN_UNITS = HallUnits({code: Unit(code=code, name=code, kind="xã") for code in ("01", "00004")})


def fuzz_one(data: bytes) -> None:
    """Import the bytes as units and as halls; halls that import must survive an export."""
    with suppress(ImportFailedError):
        parse_units(data)
    with suppress(ImportFailedError):
        halls = parse_halls(data, KNOWN_UNITS)
        exported = serialize_halls_csv(halls)
        try:
            again = parse_halls(exported, KNOWN_UNITS)
        except ImportFailedError as error:
            raise AssertionError("an export does not import") from error
        assert again == halls


if __name__ == "__main__":
    fuzz(fuzz_one)
