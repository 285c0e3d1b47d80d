"""The directory of halls as the API asks it: made when it is first needed, and made anew after the register changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

from bridges.directory import HallDirectory, Question
from conference.api.problems import RequestError
from conference.attendance.places import HallPlaces
from conference.state import State


class HallFinder:
    """Keeps a directory that follows the state."""

    def __init__(self) -> None:
        self._directory = HallDirectory()
        self._places: HallPlaces | None = None
        self._version = -1
        self._renewing = asyncio.Lock()

    async def directory(self, state: State) -> HallDirectory:
        """The directory of the halls as they are now; others have their turns while it is made."""
        async with self._renewing:
            if self._places is not state.places or self._version != state.places.version:
                places, version = state.places, state.places.version
                for _ in self._directory.renew(state.halls, state.units):
                    await asyncio.sleep(0)
                self._places, self._version = places, version
        return self._directory


def after(hall_ids: Sequence[str], last: str) -> Sequence[str]:
    """The halls of a list that follow one of them; all for "".

    Raises:
        RequestError: 422: it is not in the list (any more).
    """
    if not last:
        return hall_ids
    try:
        place = hall_ids.index(last)
    except ValueError:
        detail = f"after is {last[:64]!r}, which is not in this list; begin again"
        raise RequestError("bad_parameter", detail, status=422) from None
    return list(islice(hall_ids, place + 1, None))


def question_of(text: str) -> Question | None:
    """What is searched for; None for nothing.

    Raises:
        RequestError: 422: there is no word in it.
    """
    if not text.strip():
        return None
    question = Question(text)
    if question.is_empty:
        raise RequestError("bad_parameter", f"search is {text[:40]!r}; a word or a number is needed", status=422)
    return question
