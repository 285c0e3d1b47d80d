"""Organisation units (đơn vị) of any depth: depth and kinds are data, never code."""

from __future__ import annotations

import msgspec


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of the tree.

    Attributes:
        code: unique code, for example `01` (a province) or `00004` (a commune).
        name: official name in Vietnamese.
        kind: kind as written in the source, for example `tỉnh`, `phường`, `xã`, `đặc khu`.
        parent: code of the parent, or "" for a root.
    """

    code: str
    name: str
    kind: str
    parent: str = ""
