"""Long lists a page at a time."""

from __future__ import annotations

from conference.api.problems import RequestError

# Of one answer: some 300 kB and 2 ms, and at most five times as much.
PAGE = 1_000
MAX_PAGE = 5_000


def page_size(text: str) -> int:
    """How many items one answer holds.

    Raises:
        RequestError: 422 when it is no number, or one that is too great.
    """
    if not text:
        return PAGE
    # No longer than the greatest: what is longer is out of range, and int() refuses beyond some thousand digits.
    size = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PAGE)) else 0
    if not 1 <= size <= MAX_PAGE:
        raise RequestError("bad_parameter", f"limit is {text[:40]!r}; expected 1 to {MAX_PAGE}", status=422)
    return size
