"""`holdfast events`: the record of what happened, replayed and live."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from holdfast.console.feed import Live, replay
from holdfast.console.whereabouts import HERE, Which
from holdfast.errors import HoldfastError
from holdfast.events import Envelope, MalformedEvent, decode_envelope
from holdfast.events.sentences import describe

DEFAULT_SINCE = timedelta(minutes=15)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


async def events(
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"])] = False,
    json: bool = False,
    since: str | None = None,
    which: Which = HERE,
) -> int:
    """Show events: those of the last 15 minutes, or of `--since`; with `--follow`, new ones.

    Parameters
    ----------
    follow
        Go on with events as they happen, until Ctrl-C; the past only with `--since`.
    json
        One CloudEvent per line, as published.
    since
        A time to begin: 30s, 10m, 2h, 1d ago, a time like 2026-01-31T12:00:00Z, or `all`.
    """
    now = datetime.now(UTC)
    start = parse_since(since, now) if since else now - DEFAULT_SINCE
    printer = _Printer(json=json)
    bus = await which.connect()
    try:
        live = Live(bus)
        if follow:
            await live.open()
        if since or not follow:
            async for raw in replay(bus, start):
                printer.show(raw)
        if follow:
            async for raw in live.events():
                printer.show(raw)
    finally:
        await bus.close()
    return 0


def parse_since(text: str, now: datetime) -> datetime | None:
    """The time meant; None: from the beginning. Raises HoldfastError. Pure."""
    if text == "all":
        return None
    ago = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if ago:
        return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise HoldfastError(
            "not a time", place=f"--since {text}", cure="write 10m, 2h, 2026-01-31T12:00Z or all"
        ) from error
    return when if when.tzinfo else when.astimezone()


class _Printer:
    """Prints each event once: at the seam of past and present an event comes from both sides."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._shown: dict[str, None] = {}
        self._console = Console(highlight=False, soft_wrap=True)

    def show(self, raw: bytes) -> None:
        try:
            envelope = decode_envelope(raw, place="event")
        except MalformedEvent as error:
            self._console.print(Text(f"unreadable event: {error.problem}", style="red"))
            return
        if envelope.id in self._shown:
            return
        self._shown[envelope.id] = None
        if len(self._shown) > 50_000:
            del self._shown[next(iter(self._shown))]
        self._print(raw, envelope)

    def _print(self, raw: bytes, envelope: Envelope) -> None:
        if self._json:
            self._console.out(raw.decode())
            return
        name = envelope.type.split(".")[1]
        line = Text(f"{envelope.time[11:23]} ", style="dim")
        line.append(f"{envelope.source.split('/', 2)[-1]:32} ", style="cyan")
        line.append(f"{name:20} ", style="bold")
        line.append(describe(envelope), style="default")
        self._console.print(line)
