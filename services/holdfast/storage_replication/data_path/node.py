"""This member in whichever role it has, and how it changes roles."""

import asyncio
import errno
import logging
import os
from collections.abc import Callable

from holdfast import clock
from holdfast.errors import HoldfastError
from holdfast.storage_replication.control import (
    Bounds,
    Happened,
    Member,
    Message,
    Promote,
)
from holdfast.storage_replication.data_path.dialer import Dialer
from holdfast.storage_replication.data_path.door import Door
from holdfast.storage_replication.data_path.link import LinkConnection
from holdfast.storage_replication.data_path.link_tls import LinkTls
from holdfast.storage_replication.data_path.questions import Questions
from holdfast.storage_replication.data_path.waiting import ended
from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.engine import accepting
from holdfast.storage_replication.engine.changes import Growth
from holdfast.storage_replication.engine.fallback import GoingBack, refused
from holdfast.storage_replication.engine.frames import Frame, Kind
from holdfast.storage_replication.engine.ports import Deposed, Event, FellBack, Ports, Settings
from holdfast.storage_replication.engine.primary import Primary
from holdfast.storage_replication.engine.promotion import Other, Promotion, promote
from holdfast.storage_replication.engine.replica import Replica
from holdfast.storage_replication.engine.turns import Turns

TICK = 0.1
"""Seconds."""

_log = logging.getLogger("holdfast.volume")


class NotNow(HoldfastError):
    """The order cannot be carried out in the state that the member is in."""


class Node:
    """`say` tells the service; `enlarge` makes the data file larger, raises OSError."""

    def __init__(
        self,
        disk: MemberDisk,
        enlarge: Callable[[int], None],
        door: Door,
        tls: LinkTls | None,
        say: Callable[[Message], None],
    ) -> None:
        self.disk, self.door = disk, door
        self.enlarge = enlarge
        self._tls, self._say = tls, say
        self.settings = Settings()
        self.role: Primary | Replica | None = None
        """None: nobody may use the disk just now."""
        self.dialer: Dialer | None = None
        self.growth: Growth | None = None
        self.going_back: GoingBack | None = None
        self.changing = asyncio.Lock()
        """Held while the role changes, by whoever changes it."""
        self.changed = True
        """Since the service was told."""
        self.on_event: Callable[[Event], None] = lambda _event: None
        self._happened = 0
        self.questions = Questions(say)
        self._turns = Turns(asyncio.get_running_loop().call_soon)
        self.follow()

    @property
    def primary(self) -> Primary:
        """Raises NotNow."""
        if not isinstance(self.role, Primary):
            raise NotNow(
                "it is not the primary here",
                place=f"volume member {self.disk.superblock.member}",
                cure="ask the data path of the primary",
            )
        return self.role

    def tick(self) -> None:
        """Every TICK seconds."""
        if self.going_back is not None:
            self.going_back.progress.tick(clock.monotonic())
        if isinstance(self.role, Primary):
            if self.dialer is not None:
                self.dialer.tick()
            if self.growth is not None and not self.growth.ended:
                self.growth.tick()
            self.role.tick()

    # Roles.

    def follow(self) -> None:
        """As a replica. The disk is nobody's."""
        self.role = Replica(self.disk, self.report, self.enlarge, self._turns)
        self.changed = True

    def leave(self) -> None:
        """No role any more; clients are cut off, not answered: they come back and repeat."""
        self.door.cut()
        if self.dialer is not None:
            self.dialer.close()
        if self.role is not None:
            self.role.close()
        self.role = self.dialer = self.growth = None
        self.questions.forget()
        self.changed = True

    async def lead(self, order: Promote) -> None:
        """As the primary. Raises PromotionRefused, CannotListen, OSError; then as a replica."""
        self.leave()
        self.settings = _settings(order.bounds)
        ports = Ports(clock.monotonic, self._ask, self.report, self._turns)
        others = {n: Other(m.counts, m.asynchronous, m.before) for n, m in order.members.items()}
        promotion = Promotion(
            order.epoch, order.counted, order.kept_from, others, order.accept_loss
        )
        try:
            self._doubt(order.members)
            primary = promote(self.disk, ports, self.settings, promotion)
            self.role = primary
            self.know(order.members)
            lag = order.bounds.max_lag_bytes
            self.dialer = Dialer(primary, self._tls, lag)
            self.reach(order.members)
            primary.renew(order.valid_until)
            await self.door.open(primary)
            if self.role is not primary:
                raise NotNow(
                    "another primary came meanwhile",
                    place=f"volume member {self.disk.superblock.member}",
                    cure="promote at a higher epoch, if it is still wanted",
                )
        except (HoldfastError, OSError):
            self.leave()
            self.follow()
            raise
        self.changed = True

    def know(self, members: dict[str, Member]) -> None:
        """Which copies these members of this primary are. Raises OSError."""
        copies = {name: member.instance for name, member in members.items()}
        self.disk.change(copies=self.disk.superblock.copies | copies)
        for name, instance in copies.items():
            self.primary.members.peers[name].instance = instance

    def _doubt(self, members: dict[str, Member]) -> None:
        """What this node's dirty maps say of other copies says nothing of these."""
        own = self.disk.superblock
        maps = {
            name: epoch
            for name, epoch in own.maps.items()
            if name in members and own.copies.get(name) == members[name].instance
        }
        self.disk.change(maps=maps)

    def reach(self, members: dict[str, Member]) -> None:
        """Where the members of this primary are, from now on."""
        if self.dialer is not None:
            self.dialer.know({name: (m.host, m.port) for name, m in members.items() if m.host})

    async def go_back(self, told: FellBack) -> None:
        """To the last consistent state of an unfinished resync; `told` is reported then. Raises
        FallbackRefused, OSError."""
        self.leave()
        try:
            soon = asyncio.get_running_loop().call_soon
            self.going_back = GoingBack(self.disk, self.report, soon)
            error = await ended(self.going_back.begin)
            if error == errno.EBADMSG:
                raise refused(self.disk)
            if error:
                raise OSError(error, os.strerror(error))
            self.report(told)
        finally:
            self.going_back = None
            self.follow()

    # From the engine.

    def _ask(self, member: str, counts: bool, ticket: int) -> None:
        if isinstance(self.role, Primary):
            self.changed = True
            self.questions.ask(self.role, member, counts, ticket)

    def ask_again(self) -> None:
        """A service has come: what is open is asked with the next tick."""
        if isinstance(self.role, Primary):
            for peer in self.role.members.peers.values():
                peer.ask_at = 0.0

    def report(self, event: Event) -> None:
        """To the service."""
        _log.info("%s", event)
        self.changed = True
        self._happened += 1
        self._say(
            Happened(
                number=self._happened,
                time=clock.wall_time(),
                epoch=self.disk.superblock.epoch,
                what=event,  # type: ignore[arg-type]
            )
        )
        self.on_event(event)
        if isinstance(event, Deposed):
            asyncio.get_running_loop().call_soon(self._step_down)

    def _step_down(self) -> None:
        """Somebody else is primary: follow, so that it can bring us up to date."""
        if isinstance(self.role, Primary) and self.role.counting.deposed:
            self.leave()
            self.follow()

    # From connections that others made.

    def from_primary(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None:
        """A frame of somebody who is, was, or wants to be our primary."""
        if isinstance(self.role, Primary) and frame.kind is Kind.HELLO:
            self._rival(link, frame, payload)
        if isinstance(self.role, Replica):
            self.role.frame_received(link, frame, payload)
        elif frame.kind is not Kind.HELLO or self.role is None:
            link.close()

    def follows(self, link: LinkConnection) -> bool:
        """Whether that is the connection of its primary."""
        return isinstance(self.role, Replica) and self.role.follows(link)

    def _rival(self, link: LinkConnection, frame: Frame, payload: memoryview) -> None:
        told = accepting.parse(payload)
        if reason := accepting.refusal(self.disk, frame.epoch, told):
            accepting.refuse(link, self.disk, told, reason)
            return
        _log.warning("there is a primary at epoch %d: this one ends", frame.epoch)
        self.report(Deposed(frame.epoch))
        self.leave()
        self.follow()

    def acknowledge(self) -> None:
        """After a batch of frames."""
        if isinstance(self.role, Replica):
            self.role.acknowledge()

    def primary_gone(self, link: LinkConnection) -> None:
        """One of those connections is gone."""
        self.changed = True
        if isinstance(self.role, Replica):
            self.role.link_down(link)


def _settings(bounds: Bounds) -> Settings:
    return Settings(
        member_timeout=bounds.member_timeout,
        ping_interval=min(0.5, bounds.member_timeout / 3),
        max_lag_bytes=bounds.max_lag_bytes,
        max_lag_seconds=bounds.max_lag_seconds,
        hold_when_behind=bounds.hold_when_behind,
    )
