"""Typed errors of the coordinator; one base class, a stable `code` and an HTTP status on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ConferenceError(Exception):
    """Base of all errors that the coordinator raises for input from outside.

    Attributes:
        code: stable snake_case word for machines.
        status: HTTP status that the API answers with.
    """

    code = "conference_error"
    status = 400


class RejectedError(ConferenceError):
    """A command was understood and refused by a rule; nothing was written.

    Attributes:
        code: the rule's stable name, for example `unknown_hall`, `wrong_phase`, `no_relay`.
        status: 404 for an unknown id, 409 for a conflict with the state, 422 for values, 503 for no capacity.
        retry_after_s: seconds after which it may be asked again; 0 where the rule does not know.
        errors: single mistakes for programs, where there are several.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 409,
        retry_after_s: float = 0.0,
        errors: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s
        self.errors = list(errors)


class RateLimitedError(ConferenceError):
    """Too many requests of one token's holder or one address; nothing was done.

    Attributes:
        wait_s: seconds until the next may be made.
    """

    code = "rate_limited"
    status = 429

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many requests from here; wait, then ask again")
        self.wait_s = wait_s


class JournalError(ConferenceError):
    """The journal could not make events durable or read them; the command was not acknowledged."""

    code = "journal_unavailable"
    status = 503


class StaleEpochError(JournalError):
    """Another writer took over this stream with a greater epoch."""

    code = "stale_epoch"


class UnsafeStoreError(JournalError):
    """The store would acknowledge what it may lose, and was not configured to be allowed that."""

    code = "journal_not_durable"


class NotEmptyJournalError(JournalError):
    """A copy was to go into a journal that holds something already."""

    code = "journal_not_empty"
    status = 409


class RewoundJournalError(JournalError):
    """The store lost records that were read but never acknowledged; what was folded from it must be folded anew."""

    code = "journal_rewound"


class CorruptJournalError(JournalError):
    """A record in the journal does not decode; says which."""

    code = "journal_corrupt"
