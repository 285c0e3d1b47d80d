"""The parts of an XLSX workbook (ECMA-376): a ZIP of XML files, opened within bounds and parsed as a stream.

Nothing is held whole but shared strings. A part is unpacked in pieces and counted, whatever its header says of its
size; a document type, and with it every entity of its own, is refused; so is a token that does not end.
"""

from __future__ import annotations

import io
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from xml.parsers import expat

from bridges.errors import UnreadableTableError

MAX_MEMBERS = 1_000  # a workbook with a hundred sheets and pictures has a few hundred
MAX_UNPACKED_BYTES = 256 * 1024 * 1024  # 200,000 rows of 16 cells are some 150 MiB of XML
MAX_SHARED_STRINGS = 1_500_000  # 200,000 rows of seven different texts each
MAX_STYLES = 65_536  # what Excel itself allows
MAX_CELL_CHARACTERS = 4_000  # several times the longest field that we know
_PIECE = 256 * 1024
_MAX_TOKEN = 1024 * 1024  # no tag or text of a table is so long, and expat may read one again with every piece
_CENTRAL_HEADER = b"PK\x01\x02"
# What `zipfile` raises for archives that are broken, encrypted or packed in a way that it does not know.
_BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError, KeyError, struct.error)

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Text = Callable[[str], None]


def malformed(detail: str) -> UnreadableTableError:
    """The error for a file that is no workbook, or a broken one."""
    return UnreadableTableError("malformed", 0, f"tệp XLSX hỏng ({detail})", f"a broken XLSX file ({detail})")


def too_large(vi: str, en: str, row: int = 0) -> UnreadableTableError:
    """The error for a workbook beyond a bound."""
    return UnreadableTableError("too_large", row, vi, en)


def local_name(name: str) -> str:
    """A name of XML without its prefix."""
    return name[name.rfind(":") + 1 :]


class Parts:
    """The files in a workbook's archive.

    Raises:
        UnreadableTableError: no archive, or one beyond the bounds.
    """

    __slots__ = ("_archive", "_unpacked")

    def __init__(self, data: bytes) -> None:
        # The directory is counted before it is parsed: each entry would cost some hundreds of bytes of memory.
        if data.count(_CENTRAL_HEADER) > MAX_MEMBERS:
            raise too_large(f"tệp XLSX có quá {MAX_MEMBERS} phần", f"more than {MAX_MEMBERS} parts in the XLSX file")
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise malformed(str(error)[:80]) from None
        if sum(info.file_size for info in self._archive.infolist()) > MAX_UNPACKED_BYTES:
            raise _unpacked_too_large()
        self._unpacked = 0

    def __contains__(self, name: str) -> bool:
        return name in self._archive.NameToInfo

    def parse(self, name: str, start: Start, end: End | None = None, text: Text | None = None) -> Iterator[None]:
        """Parse a part piece by piece, with a stop after each; the callbacks are told of its elements and texts.

        Raises:
            UnreadableTableError: the part is missing, broken, too large, or no XML as workbooks have it.
        """
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        fed = 0
        try:
            for piece in self._pieces(name):
                parser.Parse(piece, False)  # noqa: FBT003 - expat takes it by position
                fed += len(piece)
                if fed - parser.CurrentByteIndex > _MAX_TOKEN + _PIECE:
                    raise too_large("phần tử XML quá dài", "an XML token is too long")
                yield
            parser.Parse(b"", True)  # noqa: FBT003 - the same
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: an encoding that nobody knows
            raise malformed(str(error)[:80]) from None
        yield

    def _pieces(self, name: str) -> Iterator[bytes]:
        try:
            info = self._archive.getinfo(name)
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise malformed("compression")
            with self._archive.open(info) as stream:
                while piece := stream.read(_PIECE):
                    self._unpacked += len(piece)
                    if self._unpacked > MAX_UNPACKED_BYTES:
                        raise _unpacked_too_large()
                    yield piece
        except _BROKEN as error:
            raise malformed(str(error)[:80]) from None


class Workbook:
    """What has to be known of a workbook before one of its sheets can be read.

    Attributes:
        strings: shared strings, by index.
        dates: of each style, whether it shows a number as a date.
        zeros: of each style, to how many digits it fills a number with zeros; 0 for the others.
        from_1904: whether its days are counted from 1904.

    Raises:
        UnreadableTableError: it is broken or beyond the bounds.
    """

    __slots__ = ("_sheets", "dates", "from_1904", "parts", "strings", "zeros")

    def __init__(self, data: bytes) -> None:
        self.parts = Parts(data)
        main = self._targets("", "officeDocument").get("officeDocument") or "xl/workbook.xml"
        self.from_1904 = False
        named: list[tuple[str, str, bool]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            local = local_name(name)
            if local == "workbookPr":
                self.from_1904 = attributes.get("date1904", "0") in {"1", "true"}
            elif local == "sheet":
                link = next((value for key, value in attributes.items() if key.endswith(":id")), "")
                named.append((attributes.get("name", ""), link, attributes.get("state", "visible") == "visible"))

        for _ in self.parts.parse(main, start):
            pass
        by_link = self._targets(main)
        self._sheets = [(name, by_link[link], shown) for name, link, shown in named if link in by_link]
        targets = self._targets(main, "sharedStrings", "styles")
        self.strings = _shared_strings(self.parts, targets["sharedStrings"]) if "sharedStrings" in targets else []
        self.dates, self.zeros = _styles(self.parts, targets["styles"]) if "styles" in targets else ([], [])

    def sheet(self, wanted: str, fold: Callable[[str], str]) -> str:
        """Name of the part of a sheet: the one that is named so, or else the first that is shown.

        Raises:
            UnreadableTableError: there is none.
        """
        for name, part, shown in self._sheets:
            if fold(name) == fold(wanted) if wanted else shown:
                return part
        names = ", ".join(name[:40] for name, _, _ in self._sheets[:10])
        raise UnreadableTableError(
            "no_sheet", 0, f"không có trang tính {wanted[:80]!r}; có: {names}", f"no such sheet; there are: {names}"
        )

    def _targets(self, part: str, *types: str) -> dict[str, str]:
        """What a part refers to: by the last word of the type where types are asked for, else by id."""
        folder, name = posixpath.split(part)
        found: dict[str, str] = {}

        def start(name: str, attributes: dict[str, str]) -> None:
            target, kind = attributes.get("Target", ""), attributes.get("Type", "").rpartition("/")[2]
            if local_name(name) == "Relationship" and attributes.get("TargetMode") != "External":
                path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
                if not types:
                    found[attributes.get("Id", "")] = path
                elif kind in types and path in self.parts:
                    found[kind] = path

        links = posixpath.join(folder, "_rels", f"{name}.rels")
        if links in self.parts:
            for _ in self.parts.parse(links, start):
                pass
        return found


def _shared_strings(parts: Parts, name: str) -> list[str]:
    strings: list[str] = []
    pieces: list[str] = []
    open_texts = phonetics = 0

    def start(element: str, _attributes: dict[str, str]) -> None:
        nonlocal open_texts, phonetics
        local = local_name(element)
        open_texts += local == "t"
        phonetics += local == "rPh"  # how a text is to be spoken is no part of it

    def end(element: str) -> None:
        nonlocal open_texts, phonetics
        local = local_name(element)
        open_texts -= local == "t"
        phonetics -= local == "rPh"
        if local == "si":
            if len(strings) >= MAX_SHARED_STRINGS:
                raise too_large("quá nhiều chuỗi trong tệp XLSX", "too many texts in the XLSX file")
            # What is too long is cut where the bound on a cell still sees that it was.
            strings.append("".join(pieces)[: MAX_CELL_CHARACTERS + 1])
            pieces.clear()

    def text(piece: str) -> None:
        if open_texts and not phonetics:
            pieces.append(piece)

    for _ in parts.parse(name, start, end, text):
        pass
    return strings


# Built-in formats of numbers that are dates or times, ECMA-376 part 1, 18.8.30.
_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})


def _styles(parts: Parts, name: str) -> tuple[list[bool], list[int]]:
    formats: dict[str, str] = {}
    chosen: list[str] = []
    inside = False

    def start(element: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        local = local_name(element)
        if len(formats) + len(chosen) > 2 * MAX_STYLES:
            raise too_large("quá nhiều kiểu ô", "too many cell styles")
        if local == "numFmt":
            formats[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")[:200]
        elif local == "cellXfs":
            inside = True
        elif local == "xf" and inside:
            chosen.append(attributes.get("numFmtId", "0"))

    def end(element: str) -> None:
        nonlocal inside
        if local_name(element) == "cellXfs":
            inside = False

    for _ in parts.parse(name, start, end):
        pass
    is_date = {key: _is_date(code) for key, code in formats.items()}
    dates = [is_date.get(key, key.isdecimal() and len(key) < 3 and int(key) in _DATES) for key in chosen]
    zeros = [len(code) if (code := formats.get(key, "")) and not code.strip("0") else 0 for key in chosen]
    return dates, zeros


def _is_date(code: str) -> bool:
    """Whether a format of numbers shows a date: it has a day, month, year, hour or second outside of quoted text."""
    quoted = escaped = bracketed = False
    for letter in code:
        if escaped:
            escaped = False
        elif letter == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "\\_*":
            escaped = True
        elif letter in "[]":
            bracketed = letter == "["
        elif not bracketed and letter in "dmyhsDMYHS":
            return True
    return False


def _refuse_doctype(*_arguments: object) -> None:
    raise malformed("DOCTYPE")


def _unpacked_too_large() -> UnreadableTableError:
    size = MAX_UNPACKED_BYTES // (1024 * 1024)
    return too_large(f"tệp XLSX giải nén ra hơn {size} MiB", f"the XLSX file unpacks to more than {size} MiB")
