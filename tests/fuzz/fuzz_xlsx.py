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
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{PACKAGE}/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{TYPES}.sharedStrings+xml"/></Types>'
    ).encode(),
    "_rels/.rels": (
        f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ).encode(),
    "xl/workbook.xml": (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="a" sheetId="1" r:id="a"/></sheets>'
        "</workbook>"
    ).encode(),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="a" Type="{OFFICE}/worksheet" Target="sheet.xml"/></Relationships>'
    ).encode(),
    "xl/styles.xml": (
        f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="164" formatCode="00000"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs></styleSheet>'
    ).encode(),
    "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}"><si><t>code</t></si></sst>'.encode(),
}


def fuzz_one(data: bytes) -> None:
    """Read the bytes as a workbook, as a sheet, and as the strings of one."""
    _read(data)
    for name in ("xl/sheet.xml", "xl/styles.xml", "xl/sharedStrings.xml"):
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
