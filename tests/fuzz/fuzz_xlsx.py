"""Fuzz tables from workbooks: any bytes, as a workbook or as a sheet in one, give rows or `ImportFailedError`.

Run `python tests/fuzz/fuzz_xlsx.py tests/fuzz/corpus/xlsx -atheris_runs=20000`; `test_fuzz_xlsx.py` runs the corpus.
"""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress

from instrumenting import fuzz, instrumented

with instrumented(__name__, "bridges"):
    from bridges.errors import ImportFailedError
    from bridges.tables import Column, Faults, parse_table

COLUMNS = (Column("code", ("mã",)), Column("name", ("tên",), required=False))
LINKS = b'<Relationships><Relationship Id="%s" Type="t/%s" Target="%s"/></Relationships>'
PARTS = {
    "_rels/.rels": LINKS % (b"a", b"officeDocument", b"xl/workbook.xml"),
    "xl/workbook.xml": b'<workbook><sheets><sheet name="a" r:id="a"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": (LINKS % (b"a", b"worksheet", b"sheet.xml")).replace(
        b"<Relationships>", b'<Relationships><Relationship Id="b" Type="t/styles" Target="styles.xml"/>'
    ),
    "xl/styles.xml": b'<styleSheet><numFmts><numFmt numFmtId="164" formatCode="00000"/></numFmts>'
    b'<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs></styleSheet>',
}


def fuzz_one(data: bytes) -> None:
    """Read the bytes as a workbook, as a sheet, and as the strings of one."""
    _read(data)
    for name in ("xl/sheet.xml", "xl/styles.xml"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for part, content in {**PARTS, "xl/sheet.xml": data, name: data}.items():
                archive.writestr(part, content)
        _read(out.getvalue())


def _read(data: bytes) -> None:
    with suppress(ImportFailedError):
        for row in parse_table(data, COLUMNS, Faults()):
            assert row.number >= 1, "rows count from 1"


if __name__ == "__main__":
    fuzz(fuzz_one)
