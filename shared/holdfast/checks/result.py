"""What a check found."""

import msgspec

MAX_REASON = 300


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` is for people; `measurements` have their unit in the name."""

    ok: bool
    reason: str
    measurements: dict[str, float] = {}


def printable(text: str) -> str:
    """Foreign text made fit for a reason: one line, no control characters, bounded."""
    line = "".join(c if c.isprintable() else " " for c in text).strip()
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 1] + "…"


def connection_problem(host: str, port: int, error: OSError) -> str:
    """Why a connection failed, in words. TLS and name resolution errors are OSErrors, too."""
    return printable(f"{host}:{port}: {error.strerror or error}")
