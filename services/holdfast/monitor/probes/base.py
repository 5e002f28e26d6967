"""What a probe is."""

from collections.abc import Callable
from typing import Protocol

from holdfast.errors import HoldfastError
from holdfast.events.fields import Health
from holdfast.monitor.observation import Observation, Subject

Report = Callable[[Observation], None]


class ProbeUnavailable(HoldfastError):
    """This probe cannot run on this machine, or not now."""


class Probe(Protocol):
    """Looks at something, and reports what it sees; often, for unchanged reports cost nothing.

    `subject` is what the probe answers for. It reports about it at least once per run while it
    works; when `run` raises, the subject is reported as unknown and `run` is called again later.
    `run` returns when there is nothing left to see. It must not block the event loop.
    """

    @property
    def subject(self) -> Subject: ...

    async def run(self, report: Report) -> None: ...


class Unable:
    """Stands for a probe that is asked for and impossible: said as a signal, not left out."""

    def __init__(self, subject: Subject, reason: str) -> None:
        self.subject = subject
        self._reason = reason

    async def run(self, report: Report) -> None:
        """Say it once."""
        report(self.subject.seen(Health.UNKNOWN, self._reason))
