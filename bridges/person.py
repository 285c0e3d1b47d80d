"""A delegate (đại biểu): a person summoned to one hall of one conference, as a roster names them.

Personal data. It stands in the people store of a conference and nowhere else: not in the journal, a snapshot, a log or
a metric, where a delegate is a number (docs/privacy.md). Therefore its text form shows the number alone.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Literal

import msgspec

PersonKind = Literal["delegate", "guest"]


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One delegate.

    Attributes:
        number: 1 … N within the conference; 0 until one is given.
        hall_id: hall that the roster summons them to.
        name: full name, the given name last.
        external_id: card or staff number; "" where there is none. With one, the person keeps the number in later
            imports whatever else changes.
        position: post or title.
        organisation: where they come from, in the roster's words.
        kind: delegate (đại biểu) or invited guest (khách mời).
        phone: telephone; "" where there is none.
    """

    number: int = 0
    hall_id: str
    name: str
    external_id: str = ""
    position: str = ""
    organisation: str = ""
    kind: PersonKind = "delegate"
    phone: str = ""

    def __repr__(self) -> str:
        return f"Person(number={self.number})"  # a traceback or a log line that holds one names nobody

    @property
    def identity(self) -> bytes:
        """What tells this person from all others of the conference: the external id, else name, hall and position.

        16 bytes of a hash, so that an index of people names nobody and is small.
        """
        parts = (self.external_id,) if self.external_id else (self.hall_id, self.name, self.position)
        text = "\n".join(_compared(part) for part in parts)
        return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16]


def _compared(text: str) -> str:
    """Text for comparison: capitals and spaces do not count; marks do, for Hà and Hạ are two people."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
