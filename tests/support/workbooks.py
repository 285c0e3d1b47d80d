"""What stands in an XLSX file, by the standard's XML: values and formulas of each cell; and a spreadsheet to ask."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_VALUE = re.compile(rb"(<f>[^<]*</f>)<v>[^<]*</v>")
_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>
"""


class WrittenCell(msgspec.Struct, frozen=True):
    """A cell as the file has it; `formula` is "" where there is none."""

    reference: str
    value: str
    formula: str


def cells_of(payload: bytes) -> dict[str, list[list[WrittenCell]]]:
    """By sheet in the order of the workbook, its rows of cells that hold something."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        book = ET.fromstring(archive.read("xl/workbook.xml"))
        names = [sheet.attrib["name"] for sheet in book.iter(f"{_NS}sheet")]
        return {
            name: [
                [_cell(cell) for cell in row if cell.tag == f"{_NS}c" and len(cell)]
                for row in ET.fromstring(archive.read(f"xl/worksheets/sheet{number}.xml")).iter(f"{_NS}row")
            ]
            for number, name in enumerate(names, start=1)
        }


def _cell(cell: ET.Element) -> WrittenCell:
    formula = cell.findtext(f"{_NS}f") or ""
    text = "".join(part.text or "" for part in cell.iter(f"{_NS}t"))
    return WrittenCell(cell.attrib["r"], cell.findtext(f"{_NS}v") or text, formula)


def without_values(payload: bytes) -> bytes:
    """The same workbook with 0 as the value of every formula: whoever shows another has calculated it."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as archive, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in archive.namelist():
            copy.writestr(name, _VALUE.sub(rb"\1<v>0</v>", archive.read(name)))
    return changed.getvalue()


def recalculate(payload: bytes, directory: Path, timeout_s: float = 100) -> bytes:
    """The workbook as LibreOffice saves it after it calculated every formula, whatever values the file had."""
    profile = directory / "profile"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(_PROFILE)
    source, out = directory / "given.xlsx", directory / "out"
    source.write_bytes(payload)
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation={profile.as_uri()}",
            "--headless",
            "--convert-to",
            "xlsx",
            "--outdir",
            str(out),
            str(source),
        ],
        check=True,
        capture_output=True,
        timeout=timeout_s,
    )
    return (out / "given.xlsx").read_bytes()
