"""What an import would change, before it changes anything. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

RecordT = TypeVar("RecordT", bound=msgspec.Struct)


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One field of one record, before and after, as people read it."""

    field: str
    before: str
    after: str


class RecordChange(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is registered and would be different."""

    code: str
    changes: list[FieldChange]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A file beside what is registered.

    Attributes:
        new: codes of records that are not registered yet, in order of the file.
        changed: records that are, and would be different.
        unchanged: how many would stay as they are.
        absent: codes that are registered and not in the file, ascending; an import leaves them as they are.
    """

    new: list[str]
    changed: list[RecordChange]
    unchanged: int
    absent: list[str]


def difference(
    known: Mapping[str, RecordT], wanted: Iterable[RecordT], code_of: Callable[[RecordT], str]
) -> Difference:
    """What `wanted` would change in `known`.

    Args:
        known: what is registered, by code; for somebody who is bound to a unit, the part that he reaches.
        wanted: the records of a file, no code twice.
        code_of: code of a record.
    """
    new: list[str] = []
    changed: list[RecordChange] = []
    unchanged = 0
    named: set[str] = set()
    for record in wanted:
        code = code_of(record)
        named.add(code)
        before = known.get(code)
        if before is None:
            new.append(code)
        elif before == record:
            unchanged += 1
        else:
            changed.append(RecordChange(code=code, changes=changes_between(before, record)))
    return Difference(
        new=new, changed=changed, unchanged=unchanged, absent=sorted(code for code in known if code not in named)
    )


def changes_between(before: RecordT, after: RecordT) -> list[FieldChange]:
    """The fields in which two records of one kind differ."""
    return [
        FieldChange(field=name, before=_shown(getattr(before, name)), after=_shown(getattr(after, name)))
        for name in before.__struct_fields__
        if getattr(before, name) != getattr(after, name)
    ]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return str(len(value))  # how often a code was used before
    return str(value)
