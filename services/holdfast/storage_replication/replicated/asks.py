"""The questions of a data path: the record is changed, or the answer is no."""

import asyncio
from typing import TYPE_CHECKING

from holdfast import clock
from holdfast.storage_replication.control import Answer, Ask
from holdfast.storage_replication.replicated import transitions
from holdfast.storage_replication.replicated.register import ChangeUnknown
from holdfast.storage_replication.replicated.reports import Trail
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.volumes import VolumeRecord

if TYPE_CHECKING:
    from holdfast.storage_replication.replicated.agent import Agent

WITHIN = 5.0
"""Seconds for one change; the data path asks again after a refusal."""


class Asks:
    """One after another, in the order of arrival; a later one about the same member replaces."""

    def __init__(self, agent: "Agent") -> None:
        self._agent = agent
        self._waiting: dict[str, Ask] = {}
        self._news = asyncio.Event()

    def take(self, ask: Ask) -> None:
        """A question came."""
        self._waiting.pop(ask.member, None)
        self._waiting[ask.member] = ask
        self._news.set()

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            ask = self._waiting.pop(next(iter(self._waiting)))
            answer = await self._answer(ask)
            if self._agent.paths.client is not None:
                self._agent.paths.client.say(answer)

    async def _answer(self, ask: Ask) -> Answer:
        agent, node = self._agent, self._agent.place.node
        before: list[VolumeRecord] = []
        at = clock.wall_time_ago(self._lag(ask.member))

        def transition(record: VolumeRecord) -> VolumeRecord:
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
