"""A resource that the cluster file changed while it ran: it runs as it was, and starts as it is.

Until its next start two configurations may be what runs: stopped is what both say is stopped.
"""

from collections.abc import Awaitable, Callable

from holdfast.recovery.journal import JournalError
from holdfast.recovery.kinds.base import ActionFailed, Kind, Running, Stopped
from holdfast.recovery.kinds.command import CommandKind
from holdfast.recovery.kinds.process import ProcessKind
from holdfast.recovery.messages import RunAction
from holdfast.recovery.state import ResourceState


class ChangedKind:
    """`forget` makes the journal forget the former configuration; durable when it returns."""

    def __init__(self, former: Kind, now: Kind, forget: Callable[[], Awaitable[None]]) -> None:
        self._former: Kind | None = former
        self._now, self._forget = now, forget

    async def start(self, action: RunAction) -> Running:
        """As the file has it. It was seen to be stopped before, so nothing runs as it was."""
        if self._former is not None:
            try:
                await self._forget()
            except JournalError as error:
                raise ActionFailed(f"the journal cannot be written: {error.problem}") from error
            self._former = None
        return await self._now.start(action)

    async def stop(self, action: RunAction) -> Stopped:
        """Both ways. Of commands the new ones first: they may mend the old ones."""
        if self._former is None:
            return await self._now.stop(action)
        ways = [self._former, self._now]
        if isinstance(self._former, CommandKind) and isinstance(self._now, CommandKind):
            ways.reverse()
        found, failures = list[Stopped](), list[ActionFailed]()
        for kind in ways:
            try:
                found.append(await kind.stop(action))
            except ActionFailed as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return Stopped(any(one.found for one in found), any(one.killed for one in found))

    def alive(self, known: ResourceState) -> bool:
        """As what runs sees it."""
        return (self._former or self._now).alive(known)

    def hold(self, known: ResourceState) -> None:
        """Put what runs under the dead man's switch, if it is of a kind that can be."""
        if isinstance(self._former, ProcessKind | CommandKind):
            self._former.hold(known)
