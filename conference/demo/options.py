"""What a demo is asked for, and when its phases come. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from conference.errors import ConferenceError

# Without an end (`--seconds 0`) the phases are timed as in a demo of so many seconds.
ENDLESS_SCRIPT_S = 60.0
# Virtual halls come during this share of the live time; then the relay is killed, with the country present.
ARRIVAL_SHARE = 0.5
KILL_SHARE = 0.58


class DemoOptionsError(ConferenceError):
    """The numbers asked for make no demo; the sentence says what to change."""

    code = "demo_options"
    status = 422


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Sizes of a demo.

    Attributes:
        relays: real relays; the first is the origin, the others are edges.
        halls: real halls, each a process that decodes.
        virtual: virtual halls.
        seconds: live time; 0 means until Ctrl-C.
        seed: equal seeds give equal countries.
    """

    relays: int
    halls: int
    virtual: int
    seconds: float
    seed: int = 2025

    def check(self) -> None:
        """Refuse sizes that make no sense.

        Raises:
            DemoOptionsError: there would be nothing to see, or no time to see it.
        """
        if self.halls == 0:
            raise DemoOptionsError(
                "with --halls 0 no real hall decodes a picture, so the demo would prove nothing; give at least 1"
            )
        if 0 < self.seconds < MIN_SECONDS:
            raise DemoOptionsError(f"--seconds must be 0 (until Ctrl-C) or at least {MIN_SECONDS:.0f}")

    @property
    def script_s(self) -> float:
        """Length that the phases are timed by."""
        return self.seconds or ENDLESS_SCRIPT_S

    @property
    def arrival_s(self) -> float:
        """How long virtual halls keep coming."""
        return self.script_s * ARRIVAL_SHARE

    @property
    def kill_at_s(self) -> float:
        """When the relay is killed, from the start of the live time."""
        return self.script_s * KILL_SHARE


# Shorter, and a hall could not lose its relay and be seen to return.
MIN_SECONDS = 8.0
