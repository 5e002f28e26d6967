"""What the engine asks of the record, and the service's answers."""

from collections.abc import Callable
from typing import NamedTuple

from holdfast import clock
from holdfast.storage_replication.control import Answer, Ask, Message
from holdfast.storage_replication.engine.primary import Primary


class Question(NamedTuple):
    """Of the engine; asked anew, it has another ticket."""

    number: int
    primary: Primary
    counts: bool
    ticket: int


class Questions:
    """The last one about each member.

    Tickets begin anew with each primary, numbers rise over all of this boot: so the answer to a
    question of an earlier role, or process, is never taken for one of this.
    """

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self._asked = int(clock.monotonic() * 1000)
        self._open: dict[str, Question] = {}

    def ask(self, primary: Primary, member: str, counts: bool, ticket: int) -> None:
        """Perhaps nobody hears it: it is asked again."""
        self._asked += 1
        self._open[member] = Question(self._asked, primary, counts, ticket)
        self._say(
            Ask(
                ask=self._asked,
                epoch=primary.disk.superblock.epoch,
                member=member,
                change="take_in" if counts else "take_out",
                asynchronous=primary.members.peers[member].lag is not None,
                instance=primary.members.peers[member].instance,
            )
        )

    def answered(self, answer: Answer) -> None:
        """By the service; heeded if it is about what was asked last of that member."""
        for member, (number, primary, counts, ticket) in self._open.items():
            if number == answer.ask:
                if answer.agreed:
                    primary.members.agreed(member, counts, ticket)
                else:
                    primary.members.refused(member, ticket, answer.reason)
                return

    def forget(self) -> None:
        """The role has ended: whatever is answered now is for nobody."""
        self._open.clear()
