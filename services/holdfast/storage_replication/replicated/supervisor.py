"""Keeps a member's data path running, and a connection to it open."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from holdfast.child_log import last_line
from holdfast.clock import monotonic
from holdfast.errors import HoldfastError
from holdfast.standstill import LOOK_EVERY, Standstill
from holdfast.storage_replication.blocks.lost_pages import LostPages
from holdfast.storage_replication.control import Ask, Happened, State
from holdfast.storage_replication.replicated import membership
from holdfast.storage_replication.replicated.client import Client
from holdfast.storage_replication.replicated.failures import Failures
from holdfast.storage_replication.replicated.place import LOG, SUPERBLOCK, Place
from holdfast.storage_replication.replicated.process import Process, gone, kill
from holdfast.storage_replication.replicated.register import Register
from holdfast.volumes import VolumeRecord

BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
END_SEEN_WITHIN = 1.0
"""Seconds in which a data path whose connection is lost has ended, if it did."""
START_TIMEOUT = 20.0
"""Seconds until a data path that was started must listen: it may have to make its files; and then
until it must have said how it is."""
POLL = 0.05
CHANGE_WITHIN = 5.0
_log = logging.getLogger("holdfast.storage")

Told = Callable[[State | Ask | Happened], None]


class Supervisor:
    """`resume` is called when a connection stands and the data path has said how it is."""

    def __init__(
        self,
        place: Place,
        register: Register,
        told: Told,
        resume: Callable[[], Awaitable[None]],
        ended: Callable[[str], None],
        unable: Callable[[str], None],
    ) -> None:
        """`ended`: why a data path did; `unable`: why again and again there is none."""
        self._place, self._register = place, register
        self._told, self._resume, self._ended = told, resume, ended
        self._unable = unable
        self._process: Process | None = None
        self.client: Client | None = None
        self.state: State | None = None
        """What the connected data path said last."""
        self.problem = "its data path is being started"
        """Why there is none; empty: there is one."""
        self.ready = asyncio.Event()
        self._failures = Failures()
        self._pages = LostPages(Path(place.config.members[place.node].path), place.doubt)
        self._said_at: float | None = None
        """When this one first said how it is."""
        self._heard = 0
        """Messages of it. It says how it is at least once a second."""

    async def run(self) -> None:
        """Until cancelled; the data path goes on (I10)."""
        try:
            await self._keep_running()
        finally:
            self._pages.close()

    async def _keep_running(self) -> None:
        failures = 0
        while True:
            self._said_at = None
            try:
                self.problem = await self._once()
            except (OSError, TimeoutError) as error:
                self.problem = f"its data path cannot be started: {error or 'no answer'}"
            except HoldfastError as error:
                self.problem = error.problem
            # One that says nothing may take long to be given up: that is no good time.
            said = self._said_at
            lasted = said is not None and monotonic() - said > BACKOFF[-1]
            failures = 1 if lasted else failures + 1
            if failures > 1:
                self._unable(self.problem)
            await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF)) - 1])

    async def _once(self) -> str:
        """From finding or starting the data path to the end of the connection. Why it ended."""
        record = self._register.record(self._place.volume)
        if record is None:
            return "there is no such volume yet: `holdfast volume create` makes it"
        if problem := await self._unfit(record):
            return problem
        client = await self._connect(record)
        self.client, self.problem = client, ""
        hearing = asyncio.create_task(client.run())
        try:
            with contextlib.suppress(TimeoutError):  # one that runs may serve all the same
                await self._pages.listen()
            unfit = await self._attend(hearing)
        finally:
            hearing.cancel()
            client.close()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing
            self.client = self.state = None
            self.ready.clear()
        return await self._after(client.pid, unfit)

    async def _attend(self, hearing: asyncio.Task[None]) -> str:
        """Bring it back into its role, and watch it until the connection ends.

        Returns why it must be ended, and another started; empty: it has ended by itself.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self.ready.wait()
        except TimeoutError:
            return f"it stood still for {START_TIMEOUT:g} s"
        await self._resume()
        limit = self._place.frozen_after
        judge = Standstill(limit)
        while not hearing.done():
            if judge.look(self._heard, monotonic()):
                return f"it stood still for {limit:g} s"
            record = self._register.record(self._place.volume)
            unfit = self._failures.due(self.state, record, self._place.node, monotonic())
            if unfit := unfit or self._elsewhere():
                return unfit
            await asyncio.wait({hearing}, timeout=LOOK_EVERY)
        return ""

    def _elsewhere(self) -> str:
        """Why one that serves nobody is where the cluster file says no more; empty: it is not."""
        state, port = self.state, self._place.hosts[self._place.node][1]
        if state is None or state.role != "replica" or state.going_back is not None:
            return ""
        if not port or not state.port or state.port == port:
            return ""
        return f"its port was {state.port}, and is {port} now,"

    async def _after(self, pid: int, unfit: str) -> str:
        """Why the connection to this data path is over; one that is of no use is killed."""
        if unfit:
            reason = f"{unfit} and was killed"
            if not await kill(pid):
                problem = f"its data path cannot be killed: {unfit}"
                self._unable(problem)  # its disk may hang for ever, and it with it
                return problem
        elif not await gone(pid, END_SEEN_WITHIN):
            return "the connection to its data path was lost"
        else:
            process = self._process
            reason = process.how() if process and process.ended.is_set() else "not known why"
        with contextlib.suppress(OSError, HoldfastError):  # again before the next is started
            if await self._pages.look():
                reason += "; its disk lost some of what it was given"
        self._ended(reason)
        return f"its data path ended: {reason}"

    async def _unfit(self, record: VolumeRecord) -> str:
        """Why the record does not let this member's data path run; empty: it does.

        Only a member whose files are those of the record may: one that lost them does not know what
        it lacks, and would be taken for one that lacks nothing.
        """
        place = self._place
        known = record.members.get(place.node)
        if known is None:
            await self.end_unheard()  # it holds the disk, which may be about to be replaced
            await self._pages.look()
            return f"{place.node} is no member: `holdfast volume members add` makes it one"
        mine = place.instance()
        if known.instance:
            if known.instance != mine:
                return membership.lost_files(place.node)
            return ""
        if problem := place.of_another_record(record.uuid):
            return problem
        if mine and (place.folder / SUPERBLOCK).exists():
            await self.end_unheard()
            place.forget()  # of an earlier membership, which ended
            mine = ""
        instance = mine or place.make_instance()
        await self._register.change(
            place.volume,
            lambda now: membership.started(now, place.node, instance),
            within=CHANGE_WITHIN,
        )
        return ""

    async def _connect(self, record: VolumeRecord) -> Client:
        """To the one that runs, else to one that is started. Raises OSError, TimeoutError."""
        with contextlib.suppress(OSError, TimeoutError):
            return await Client.connect(self._place.control_socket, self._hear)
        log = self._place.folder / LOG
        process = self._process
        if process is None or process.ended.is_set():
            await self._pages.look()
            await self._pages.listen()
            process = self._process = Process(self._place.command(record), log)
        async with asyncio.timeout(START_TIMEOUT):
            while not process.ended.is_set():
                with contextlib.suppress(OSError):
                    return await Client.connect(self._place.control_socket, self._hear)
                await asyncio.sleep(POLL)
        raise OSError(f"{process.how()}: {last_line(log)}")

    async def end_unheard(self) -> None:
        """A data path that runs and that this service does not hear: of a membership that is over,
        or one whose record is not known yet. On return there is none. Raises OSError."""
        try:
            client = await Client.connect(self._place.control_socket, self._hear)
        except (FileNotFoundError, ConnectionRefusedError):
            return
        client.close()
        if not await kill(client.pid):
            raise OSError("its data path does not end")

    def _hear(self, message: State | Ask | Happened) -> None:
        self._heard += 1
        if isinstance(message, State):
            self.state = message
            if self._said_at is None:
                self._said_at = monotonic()
            self.ready.set()
        self._told(message)
