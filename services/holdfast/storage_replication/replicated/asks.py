"""The questions of a data path: the record is changed, or the answer is no.

A question is void once the data path that asked it is not heard any more, or has been told its role
anew: the next one goes by the record that was written for it, and nothing may change that record in
the name of one that knew better who has what.
"""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from holdfast import clock
from holdfast.storage_replication.control import Answer, Ask, State
from holdfast.storage_replication.replicated import transitions
from holdfast.storage_replication.replicated.client import Client
from holdfast.storage_replication.replicated.register import ChangeUnknown
from holdfast.storage_replication.replicated.reports import Trail
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.volumes import VolumeRecord

if TYPE_CHECKING:
    from holdfast.storage_replication.replicated.agent import Agent

WITHIN = 5.0
"""Seconds for one change; the data path asks again after a refusal."""


NOT_ASKED = 0
"""The number of a question that no data path has asked."""


class _Question(NamedTuple):
    ask: Ask
    asker: Client | None
    role: int
    """Which of the roles that were told."""


class Asks:
    """One after another, in the order of arrival; a later one about the same member replaces."""

    def __init__(self, agent: "Agent") -> None:
        self._agent = agent
        self._waiting: dict[str, _Question] = {}
        self._news = asyncio.Event()
        self._role = 0

    def take(self, ask: Ask) -> None:
        """A question came."""
        self._waiting.pop(ask.member, None)
        self._waiting[ask.member] = _Question(ask, self._agent.paths.client, self._role)
        self._news.set()

    def void(self) -> None:
        """The data path is about to be told its role: what was asked before is asked no more."""
        self._role += 1

    def look(self, record: VolumeRecord, state: State) -> None:
        """Take out of the record of a primary whoever it does not count on, though the record does:
        it acknowledges without that member (V3). Nothing should bring that about."""
        for name, known in state.members.items():
            if record.counts(name) and not known.counts and not known.asked:
                self.take(
                    Ask(
                        ask=NOT_ASKED,
                        epoch=state.epoch,
                        member=name,
                        change="take_out",
                        asynchronous=known.asynchronous,
                    )
                )

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            question = self._waiting.pop(next(iter(self._waiting)))
            answer = await self._answer(question)
            if question.asker is not None:
                question.asker.say(answer)

    async def _answer(self, question: _Question) -> Answer:
        agent, node, ask = self._agent, self._agent.place.node, question.ask
        before: list[VolumeRecord] = []
        at = clock.wall_time_ago(self._lag(ask.member))

        def transition(record: VolumeRecord) -> VolumeRecord:
            self._require_asked(question)
            before.append(record)
            if ask.change == "take_out":
                return transitions.take_out(record, node, ask.epoch, ask.member, at=at)
            return transitions.take_in(
                record,
                node,
                ask.epoch,
                ask.member,
                asynchronous=ask.asynchronous,
                instance=ask.instance,
            )

        try:
            record = await agent.register.change(agent.volume, transition, within=WITHIN)
        except (ChangeRefused, ChangeUnknown) as error:
            return Answer(ask=ask.ask, agreed=False, reason=error.problem)
        if record != before[0]:
            self._say(record, ask)
        return Answer(ask=ask.ask, agreed=True)

    def _require_asked(self, question: _Question) -> None:
        """Raises ChangeRefused. Looked at before each attempt: one that is answered was made before
        the record of the next role was written."""
        if (question.asker, question.role) != (self._agent.paths.client, self._role):
            raise ChangeRefused(
                "the data path that asked it has ended, or has a new role",
                place=f"volume {self._agent.volume}",
                cure="the one that serves the volume now asks for itself",
            )

    def _lag(self, member: str) -> float:
        """How long ago it had everything, in seconds, as far as its primary said."""
        state = self._agent.paths.state
        known = state.members.get(member) if state is not None else None
        return max(known.lag_seconds, known.silent) if known is not None else 0.0

    def _say(self, record: VolumeRecord, ask: Ask) -> None:
        """With the signal about that member as its cause; there is one, or there is now."""
        agent = self._agent
        trail: Trail | None = agent.reports.member(
            agent.volume, ask.epoch, ask.member, "it does not have all writes"
        )
        change = "taken_out" if ask.change == "take_out" else "taken_in"
        agent.reports.set_changed(record, agent.place.node, change, ask.member, trail)
        if change == "taken_in":
            agent.reports.member(agent.volume, ask.epoch, ask.member, "")
