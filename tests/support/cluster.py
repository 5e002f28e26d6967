"""A whole cluster of real processes with the ledger on it, its observer and its events."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from holdfast import subjects
from holdfast.bus import BusError
from holdfast.clock import monotonic, wall_time
from holdfast.console.demo import cluster_file
from holdfast.console.demo.processes import run
from holdfast.console.launcher.health import healthy
from holdfast.console.launcher.local_cluster import LocalCluster
from holdfast.ledger.client import LedgerClient
from holdfast.ledger.report import Report
from holdfast.streams import move_stream_leaders
from holdfast.wire import GroupStatus, LeadRequest, StatusReply, StatusRequest
from tests.support.follower import Follower, Seen, Wanted, event
from tests.support.waiting import until

GROUP = "ledger"
HOSTS = ("alpha", "beta")
READY = 60.0
SETTLE = 60.0
ASK = 1.0
POLL = 0.1
TAIL_EVENTS, TAIL_LINES = 60, 15
_numbers = itertools.count(1)


def _on_a_shared_folder(text: str, data: Path) -> str:
    """The demonstration's cluster file with the simplest volume: these tests are not about it."""
    folder = f'[volumes.ledger]\ndriver = "directory"\npath = "{data}"\n\n'
    text = re.sub(r"\[volumes\.ledger\].*?(?=\[groups)", folder, text, flags=re.DOTALL)
    return re.sub(r'"--nbd",\s*"[^"]*"', f'"--data", "{data}"', text)


class RunningCluster:
    """Hosts alpha and beta and a witness; the group `ledger` with the process `web`."""

    def __init__(
        self,
        folder: Path,
        *,
        profile: str = "standard",
        extra: str = "",
        attempts: int = 50,
        edit: Callable[[str], str] = str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config, url = cluster_file.write(folder)
        net = f"127.{1 + os.getpid() % 200}.{next(_numbers)}."
        demo_net = cluster_file.SERVICE.rpartition(".")[0] + "."
        self.data = folder / "shared-storage"
        self.data.mkdir()
        text = _on_a_shared_folder(config.read_text(), self.data).replace(demo_net, net)
        # A test may kill it, and make it move, as often as it likes.
        text = text.replace("attempts = 3", f"attempts = {attempts}")
        text = text.replace("[groups.ledger]\n", "[groups.ledger]\nmoves_window = 0.5\n")
        text = text.replace('profile = "standard"', f'profile = "{profile}"') + extra
        config.write_text(edit(text))
        self.url = url.replace(demo_net, net)
        self.reports: list[str] = []
        self.local = LocalCluster(config, folder / "state", on_report=self.reports.append)
        self._opened = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Everything up, healthy, and the ledger running somewhere."""
        await self.local.start()
        await self.local.ready(READY)
        self.operator = await self.local.connect("operator")
        self.follower = Follower(self.operator)
        await self.follower.open()
        await self.healthy()

    async def stop(self) -> None:
        """Thaw what a test froze, then stop everything."""
        for place in self.local.places.values():
            for service in place.services().values():
                if service.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(service.pid, signal.SIGCONT)
        if hasattr(self, "follower"):
            await self.follower.close()
            await self.operator.close()
        await self.local.stop()

    # --- what the cluster says ---------------------------------------------------------------

    async def seen(
        self, *names: str, since: str = "", timeout: float = 30.0, **fields: object
    ) -> Seen:
        """The first event of one of these names and with this data, from the time `since` on."""
        what = f"{' or '.join(names)} with {fields}"
        return await self.follower.next(
            event(*names, **fields), since=since, timeout=timeout, what=what
        )

    async def seen_where(self, wanted: Wanted, *, what: str, since: str, timeout: float) -> Seen:
        """The first event that fits a predicate."""
        return await self.follower.next(wanted, since=since, timeout=timeout, what=what)

    async def status(self) -> StatusReply | None:
        """The leading decider's view; None if nobody leads now."""
        with contextlib.suppress(BusError):
            return await self.operator.request(
                subjects.admin("decider"), StatusRequest(), StatusReply, timeout=ASK
            )
        return None

    async def status_where(
        self, wanted: Callable[[StatusReply], bool], what: str, *, timeout: float = SETTLE
    ) -> StatusReply:
        """The leader's view as soon as it is as wanted."""
        deadline, last = monotonic() + timeout, None
        while monotonic() < deadline:
            last = await self.status()
            if last is not None and wanted(last):
                return last
            await asyncio.sleep(POLL)
        raise AssertionError(f"not within {timeout:.0f} s: {what}; the status is {last}")

    async def group(self) -> GroupStatus:
        """The ledger's state as its leader sees it; a new one may not have seen the record yet."""

        def seen(status: StatusReply) -> bool:
            return any(group.epoch for group in status.groups)

        (group,) = (await self.status_where(seen, "a group's record")).groups
        return group

    async def owner(self) -> str:
        """Who runs the ledger."""
        owner = (await self.group()).owner
        assert owner is not None
        return owner

    async def wait_active(self, *, on: str | None = None, timeout: float = SETTLE) -> GroupStatus:
        """The ledger runs and says so, on this host if one is given."""

        def active(status: StatusReply) -> bool:
            (group,) = status.groups
            return group.phase == group.reported == "active" and group.owner == (on or group.owner)

        status = await self.status_where(active, f"active on {on or 'any host'}", timeout=timeout)
        return status.groups[0]

    async def healthy(self) -> None:
        """Every host holds its lease, the ledger runs, every service and every bus is well.

        Signals of this machine's own load do not count.
        """
        await self.status_where(_well, "every host holds its lease, the ledger runs")
        await eventually(self._everything_runs, "every service runs, every nats-server is healthy")

    async def _everything_runs(self) -> bool:
        for name, place in self.local.places.items():
            services = place.services().values()
            if not services or not all(service.pid for service in services):
                return False
            if not await healthy(self.local.cluster.places()[name]):
                return False
        return True

    # --- what is done to it ------------------------------------------------------------------

    def pid(self, place: str, service: str) -> int:
        """The process of a service of a place."""
        pid = self.local.place(place).services()[service].pid
        assert pid, f"{service} does not run on {place}"
        return pid

    def send(self, place: str, service: str, number: signal.Signals) -> int:
        """Signal a service; returns its pid."""
        pid = self.pid(place, service)
        os.kill(pid, number)
        return pid

    async def restarted(self, place: str, service: str, old: int) -> None:
        """Its supervisor has started it anew."""
        services = self.local.place(place).services
        await until(
            lambda: services()[service].pid not in (0, old),
            within=SETTLE,
            what=f"{service} on {place} is started again",
        )

    async def kill_host(self, name: str) -> str:
        """Power off; returns the time just before."""
        began = wall_time()
        await self.local.place(name).kill()
        return began

    async def workload(self) -> int:
        """The ledger's process, as the latest start of it at the present epoch says."""
        started = event("resource_started", resource="web", epoch=(await self.group()).epoch)
        await self.seen_where(started, what="the ledger's start", since="", timeout=SETTLE)
        last = [seen for seen in self.follower.seen if started(seen)][-1]
        return int(last.data["instance"].split(":")[0])

    async def lead_from(self, place: str) -> None:
        """Make the decider of a place the leader."""
        request = LeadRequest(place=place, operator="test")

        async def leads() -> bool:
            status = await self.status()
            if status is not None and status.leader != place:
                with contextlib.suppress(BusError):
                    subject = subjects.admin("decider")
                    await self.operator.request(subject, request, StatusReply, timeout=ASK)
            return status is not None and status.leader == place

        await eventually(leads, f"{place} leads")

    async def keep_streams_off(self, place: str) -> None:
        """No stream is led from there, so that events are heard when that place is lost."""

        async def moved() -> bool:
            with contextlib.suppress(BusError):
                await move_stream_leaders(self.operator, {place})
                return True
            return False

        await eventually(moved, f"no stream is led by {place}")

    # --- what is seen from outside -----------------------------------------------------------

    @contextlib.asynccontextmanager
    async def observed(self) -> AsyncIterator[LedgerClient]:
        """Writes all the time; at the end every promise of the ledger must have been kept."""
        client = LedgerClient([self.url])
        client.start()
        report: Report | None = None
        try:
            yield client
        finally:
            report = await asyncio.to_thread(client.finish)
        assert report.ok, report

    async def audit(self, *, timeout: float = SETTLE) -> None:
        """`holdfast audit verify` passes, once everything that was spooled is published."""
        said = ""

        async def passes() -> bool:
            nonlocal said
            code, said = await run(self.holdfast("audit", "verify", "--json"), timeout=60)
            return code == 0

        try:
            await eventually(passes, "the audit passes", timeout=timeout)
        except AssertionError:
            findings = json.loads(said)["findings"] if said.startswith("{") else said
            raise AssertionError(f"audit verify: {findings}") from None

    def holdfast(self, *arguments: str) -> list[str]:
        """The command line against this cluster."""
        state = str(self.local.state)
        return [sys.executable, "-m", "holdfast.console", *arguments, "--state", state]

    def story(self) -> Iterator[tuple[str, str]]:
        """For a failed test: the last events, what ended, and the ends of all logs."""
        if hasattr(self, "follower"):
            events = sorted(self.follower.seen, key=lambda seen: seen.envelope.time)
            yield "last events", "\n".join(str(seen) for seen in events[-TAIL_EVENTS:])
        yield "reports of the places", "\n".join(self.reports[-20:])
        for log in sorted(self.local.run_dir.rglob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            yield str(log.relative_to(self.local.run_dir)), "\n".join(line[:300] for line in lines)


def _well(status: StatusReply) -> bool:
    nodes = all(node.state == "alive" and node.lease_valid for node in status.nodes)
    return nodes and all(group.phase == group.reported == "active" for group in status.groups)


async def eventually(
    condition: Callable[[], Awaitable[bool]], what: str, *, timeout: float = SETTLE
) -> None:
    """Return as soon as the condition holds; fail after `timeout` seconds."""
    deadline = monotonic() + timeout
    while not await condition():
        assert monotonic() < deadline, f"not within {timeout:.0f} s: {what}"
        await asyncio.sleep(POLL)
