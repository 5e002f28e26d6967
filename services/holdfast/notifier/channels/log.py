"""One JSON line per notification, appended to a file or to standard output."""

import asyncio
import sys
from pathlib import Path

import msgspec

from holdfast.config.model import LogChannel
from holdfast.events import Envelope
from holdfast.notifier.channels.failure import SendFailed
from holdfast.notifier.core import line

DEADLINE = 5.0


class Log:
    """The file is opened for each line, so it may be rotated at any time."""

    attempts = 3

    def __init__(self, settings: LogChannel) -> None:
        self._path = settings.path

    async def send(self, envelope: Envelope) -> None:
        """Append the line. Raises SendFailed."""
        text = msgspec.json.encode(line(envelope)) + b"\n"
        try:
            async with asyncio.timeout(DEADLINE):
                await asyncio.to_thread(self._append, text)
        except TimeoutError as error:
            raise SendFailed(f"{self._path} took no line within {DEADLINE:g} s") from error
        except OSError as error:
            raise SendFailed(f"{self._path}: {error.strerror}") from error

    def _append(self, text: bytes) -> None:
        if self._path == "-":
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
            return
        # Unbuffered: one write, so that lines of two writers never mix.
        with Path(self._path).open("ab", buffering=0) as file:
            file.write(text)
