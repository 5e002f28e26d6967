"""When a program that ended is started again. Pure."""

import signal

import msgspec

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
STEADY_AFTER = 10.0
"""A program that ran this many seconds had started well: its earlier failures are forgotten."""
NOT_WORTH_RESTARTING = 2
"""The exit code of a service that found its configuration or environment unusable."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One program to keep running. `is_service`: its exit code 2 means what is said above, and
    it has a heartbeat."""

    name: str
    argv: list[str]
    is_service: bool = True


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """Start it again `after` so many seconds; `failures` is the count to pass in next time."""

    after: float
    failures: int


class GiveUp(msgspec.Struct, frozen=True, kw_only=True):
    """Do not start it again."""

    reason: str


def after_exit(program: Program, code: int, *, ran: float, failures: int) -> Restart | GiveUp:
    """What to do about an exit nobody asked for; `code` is negative for a signal.

    `ran` in seconds; `failures` counts exits in a row, this one not included.
    """
    if code == NOT_WORTH_RESTARTING and program.is_service:
        return GiveUp(reason="it says that restarting is useless (exit code 2): see its log")
    if ran >= STEADY_AFTER:
        failures = 0
    delay = min(FIRST_DELAY * 2 ** min(failures, 10), LONGEST_DELAY)
    return Restart(after=delay, failures=failures + 1)


def describe_exit(code: int) -> str:
    """An exit in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
