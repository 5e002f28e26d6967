"""Carries out what the service orders."""

import asyncio
import errno
import logging
import os
from typing import NamedTuple

from holdfast.errors import HoldfastError
from holdfast.storage_replication.control import (
    MAX_ORDERS,
    Answer,
    Demote,
    Done,
    Failed,
    FallBack,
    FromService,
    Lease,
    Member,
    Order,
    Promote,
    Resize,
    SetMembers,
    Verify,
)
from holdfast.storage_replication.data_path.control_socket import Service
from holdfast.storage_replication.data_path.node import Node, NotNow
from holdfast.storage_replication.data_path.waiting import ended, resolver
from holdfast.storage_replication.engine.changes import Growth, add_member, repair
from holdfast.storage_replication.engine.ports import (
    Differences,
    Event,
    FellBack,
    Repaired,
    VerifyCut,
)
from holdfast.storage_replication.engine.primary import Primary

DEADLINE = 20.0
"""Seconds until an order that waits for others fails; it may be repeated."""
AT_ONCE = 16
"""Places that a repair overwrites in one turn of the loop."""

_log = logging.getLogger("holdfast.control")


class Carried(NamedTuple):
    """How an order was carried out: a warning, or none; of a Demote, who has everything."""

    warning: str = ""
    complete: list[str] = []


class Orders:
    """Up to MAX_ORDERS at a time, each in a task of its own."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tasks: set[asyncio.Task[None]] = set()
        self._repairing: set[str] = set()
        self._growing: asyncio.Future[int] | None = None
        self._going_back: asyncio.Task[None] | None = None
        node.on_event = self._event

    def receive(self, service: Service, message: FromService) -> None:
        """Answers over the connection by which it came."""
        if isinstance(message, Lease):
            role = self._node.role
            if isinstance(role, Primary) and message.epoch == self._node.disk.superblock.epoch:
                role.renew(message.valid_until)
        elif isinstance(message, Answer):
            self._node.questions.answered(message)
            self._node.changed = True
        elif len(self._tasks) >= MAX_ORDERS:
            error = NotNow(
                f"{MAX_ORDERS} orders are open", place="control.sock", cure="wait for answers"
            )
            service.say(_failed(message.id, error))
        else:
            task = asyncio.get_running_loop().create_task(self._answer(service, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, service: Service, order: Order) -> None:
        try:
            ended = await self.carry_out(order)
        except HoldfastError as error:
            service.say(_failed(order.id, error))
        except OSError as error:
            _log.error("%s failed: %s", type(order).__name__, error)
            service.say(_failed(order.id, _disk_error(self._node, error)))
        else:
            service.say(Done(id=order.id, warning=ended.warning, complete=ended.complete))
        self._node.changed = True

    def end(self) -> None:
        """What may take long is not waited for."""
        if self._node.going_back is not None:
            self._node.going_back.stop()

    async def carry_out(self, order: Order) -> Carried:
        """Raises HoldfastError, OSError."""
        match order:
            case Promote():
                await self._promote(order)
            case Demote():
                return await self._demote(order.deadline)
            case SetMembers():
                await self._set_members(order)
            case Resize():
                await self._resize(order.size)
            case Verify():
                self._verify(order)
            case FallBack():
                return await self._fall_back(order)
        return Carried()

    async def _fall_back(self, order: FallBack) -> Carried:
        task = self._going_back
        if task is None or task.done():
            task = self._going_back = asyncio.create_task(self._go_back(order))
            task.add_done_callback(_went_back)
        await asyncio.wait({task}, timeout=DEADLINE)
        if not task.done():
            return Carried("it goes on")
        await task
        return Carried()

    async def _go_back(self, order: FallBack) -> None:
        node = self._node
        async with node.changing:
            if isinstance(node.role, Primary):
                raise self._not_now("it is the primary", "demote it first")
            if order.epoch != node.disk.superblock.epoch:
                raise self._not_now("a primary has found it meanwhile", "look again")
            await node.go_back(FellBack(order.incident, order.cause))

    async def _promote(self, order: Promote) -> None:
        node = self._node
        if node.going_back is not None:  # it would wait for hours, and then be carried out
            raise self._not_now("it is going back to its last consistent state", "wait for that")
        async with node.changing:
            if node.disk.failed:
                raise OSError(node.disk.failed, os.strerror(node.disk.failed))
            same = order.epoch == node.disk.superblock.epoch
            if isinstance(node.role, Primary) and same and not node.role.counting.deposed:
                node.role.renew(order.valid_until)
            else:
                await node.lead(order)

    async def _demote(self, deadline: float) -> Carried:
        node = self._node
        if node.going_back is not None:
            return Carried()
        async with node.changing:
            primary = node.role
            if not isinstance(primary, Primary):
                return Carried()
            warning, flushed = "", False
            try:
                async with asyncio.timeout(deadline):
                    await node.door.close(deadline / 2)
                    error = await ended(primary.flush)
                    flushed = not error
                    error = error or await ended(primary.drain)
                    warning = f"the last flush failed: {os.strerror(error)}" if error else ""
            except TimeoutError:
                what = "a member did not get all" if flushed else "the last flush did not end"
                warning = f"{what} within {deadline:g} s"
            # Nothing is awaited from here on: what is complete now stays so.
            complete = primary.counting.complete() if flushed and node.role is primary else []
            if node.role is primary:
                node.leave()
                node.follow()
            return Carried(warning, complete)

    async def _set_members(self, order: SetMembers) -> None:
        node, primary = self._node, self._node.primary
        peers = primary.members.peers
        for name, peer in list(peers.items()):
            wanted = order.members.get(name)
            another = wanted is not None and peer.instance not in ("", wanted.instance)
            if (wanted is None or another) and not peer.leaving:
                primary.members.leave(name)
        for name, member in order.members.items():
            if name in peers and peers[name].leaving:
                raise self._not_now(f"{name} is just being removed", "wait until it is gone")
            if name not in peers and member.counts:
                raise self._not_now(f"{name} cannot count yet", "add it with counts false")
        # Whom to expect is known before there is a connection, and before one that is gone is new.
        node.know({name: member for name, member in order.members.items() if name in peers})
        node.reach(order.members)
        for name, member in order.members.items():
            if name not in peers:
                if node.role is not primary:  # while the one before was waited for
                    raise self._not_now("it has another role by now", "look again")
                await self._add(primary, name, member)

    async def _add(self, primary: Primary, name: str, member: Member) -> None:
        added: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        add_member(
            primary,
            self._node.settings,
            name,
            asynchronous=member.asynchronous,
            done=resolver(added),
        )
        self._node.know({name: member})
        await _in_time(added, "its dirty map is not durable yet")

    async def _resize(self, size: int) -> None:
        node, primary = self._node, self._node.primary
        if size == primary.size:
            node.door.resize(size)
            return
        if node.growth is None or node.growth.ended:
            growing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            told = resolver(growing)

            def grown(error: int) -> None:
                # Perhaps long after the order: a member had no room at first.
                if not error and node.role is primary:
                    node.door.resize(primary.size)
                told(error)

            node.growth = Growth(primary, size, node.enlarge, grown)
            self._growing = growing
        elif node.growth.size != size:
            raise self._not_now(f"it is growing to {node.growth.size} bytes", "wait for that")
        assert self._growing is not None
        await _in_time(self._growing, "not all members that count have grown; it goes on")

    def _verify(self, order: Verify) -> None:
        primary = self._node.primary
        if order.member not in primary.members.peers:
            raise self._not_now(f"{order.member} is no member", "name one of `State.members`")
        if primary.members.peers[order.member].verify is not None:
            raise self._not_now(
                f"{order.member} is being compared already",
                "wait until that has ended: `holdfast volume status` shows how far it is",
            )
        if not primary.upkeep.verify(order.member):
            raise self._not_now(f"{order.member} is not in sync", "wait until it is")
        (self._repairing.add if order.repair else self._repairing.discard)(order.member)

    def _event(self, event: Event) -> None:
        if isinstance(event, VerifyCut):
            self._repairing.discard(event.member)
        if isinstance(event, Differences) and event.member in self._repairing:
            self._repairing.discard(event.member)
            asyncio.get_running_loop().call_soon(self._repair, event, 0)

    def _repair(self, found: Differences, done: int) -> None:
        """Some places in each turn of the loop: they must be read, from wherever they are."""
        problem, next_ones = "", found.ranges[done : done + AT_ONCE]
        try:
            repair(self._node.primary, found.member, next_ones)
        except HoldfastError as error:
            problem = error.problem
        except OSError as error:
            problem = error.strerror or str(error)
        done += len(next_ones)
        if problem or done == len(found.ranges):
            self._node.report(Repaired(found.member, len(found.ranges), problem))
        else:
            asyncio.get_running_loop().call_soon(self._repair, found, done)

    def _not_now(self, problem: str, cure: str) -> NotNow:
        return NotNow(
            problem, place=f"volume member {self._node.disk.superblock.member}", cure=cure
        )


async def _in_time(future: asyncio.Future[int], problem: str) -> None:
    """Raises NotNow, OSError."""
    try:
        async with asyncio.timeout(DEADLINE):
            error = await asyncio.shield(future)
    except TimeoutError:
        raise NotNow(problem, place="data path", cure="repeat the order later") from None
    if error:
        raise OSError(error, os.strerror(error))


def _went_back(task: asyncio.Task[None]) -> None:
    """Perhaps long after the order was answered."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, HoldfastError | OSError):
        _log.error("the fallback has ended: %s", error)
    elif error is not None:
        raise error


def _failed(order: int, error: HoldfastError) -> Failed:
    return Failed(id=order, problem=error.problem, place=error.place, cure=error.cure)


def _disk_error(node: Node, error: OSError) -> HoldfastError:
    return HoldfastError(
        error.strerror or os.strerror(error.errno or errno.EIO),
        place=f"volume member {node.disk.superblock.member}",
        cure="look at the storage; the log of the data path says more",
    )
