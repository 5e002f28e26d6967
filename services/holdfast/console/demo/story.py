"""What the demonstration does and what it promises; every promise is checked from outside."""

import asyncio
import json
import time
from typing import Any, Protocol

import msgspec

from holdfast.console.demo import copies
from holdfast.console.demo.failure import DemoFailed
from holdfast.console.demo.outcome import Outcome, Promise
from holdfast.console.demo.processes import Observer, Watcher, fields, is_event, run
from holdfast.console.demo.stage import Stage

SETTLE_TIMEOUT = 60.0
ACT_TIMEOUT = 45.0
COMMAND_TIMEOUT = 45.0
POLL = 0.2
WRITES_BEFORE = 20
"""Entries that must be acknowledged before and after each failure."""

MOST_RESENT = 16 * 1024 * 1024
"""Bytes: a quarter of the volume, of which the ledger fills far less."""


class Screen(Protocol):
    """Where progress is shown."""

    def step(self, text: str) -> None:
        """A step begins; the one before is done."""

    def note(self, text: str) -> None:
        """A result of the current step."""


class Story:
    """Plays once, on one stage."""

    def __init__(self, stage: Stage, screen: Screen, *, width: int) -> None:
        self._stage, self._screen, self._width = stage, screen, width
        self._watcher, self._observer = Watcher(), Observer()
        self.outcome = Outcome()

    async def play(self) -> Outcome:
        """The whole story. Raises DemoFailed as soon as a promised event does not come."""
        try:
            await self._prologue()
            await self._kill_the_ledger()
            await self._kill_the_host()
            await self._host_returns()
            await self._verdict()
            return self.outcome
        finally:
            await self._watcher.kill()
            await self._observer.kill()

    async def _prologue(self) -> None:
        self._screen.step("starting two hosts and a witness, each with its own nats-server")
        await self._stage.start()
        await copies.create(self._stage)
        self._screen.step("the deciders elect a leader, and start the ledger on alpha")
        await self._until(lambda status: self._owner(status) == ("alpha", "active"))
        follow = self._stage.holdfast("events", "--follow", "--json", "--since", "all")
        await self._watcher.start(follow)
        await self._observer.start(self._stage.observer())
        await self._writes(WRITES_BEFORE)
        await copies.joined(self._watcher, "beta", since=0)
        self._screen.note("its volume is in sync: every write is on alpha and on beta")
        self._screen.step("making alpha leader of everything: owner, decider, JetStream")
        code, said = await run(
            self._stage.holdfast("lead", "alpha", "--streams"), timeout=COMMAND_TIMEOUT
        )
        if code != 0:
            raise DemoFailed(f"alpha did not become leader: {said}")
        status = await self._until(lambda status: bool(status["leader"] == "alpha"))
        self._screen.note(f"decider leader {status['leader']}, term {status['leader_term']}")

    async def _kill_the_ledger(self) -> None:
        self._screen.step("killing the ledger's process (SIGKILL)")
        since = len(self._watcher.seen)
        health = await self._watcher.wait_for(
            "the ledger's start", is_event("resource_started", resource="web"), since=0, timeout=10
        )
        pid = int(fields(health)["instance"].split(":")[0])
        await self._observer.mark("ledger killed")
        began = time.monotonic()
        await self._stage.kill_ledger(pid)
        recovered = await self._watcher.wait_for(
            "local recovery", is_event("recovery_succeeded"), since=since, timeout=ACT_TIMEOUT
        )
        seen = time.monotonic() - began
        await self._writes(WRITES_BEFORE)
        phase = await self._observer.mark("recovered")
        took = float(fields(recovered)["took"])
        self._screen.note(
            f"recovered on alpha in {took:.2f} s; no answer for {phase['longest_outage']:.2f} s"
        )
        self._promise(
            "a killed process is recovered on its own host",
            f"on {fields(recovered)['node']}, {took:.2f} s by its clock, {seen:.2f} s by ours",
            fields(recovered)["node"] == "alpha",
        )
        self.outcome.incidents.append(("the ledger was killed", recovered.correlationid))

    async def _kill_the_host(self) -> None:
        self._screen.step("killing the whole host alpha (SIGKILL): its nats-server, too")
        since = len(self._watcher.seen)
        await self._observer.mark("host killed")
        await self._stage.kill_host("alpha")
        moved = await self._watcher.wait_for(
            "the failover",
            is_event("move_completed", kind="failover", node="beta"),
            since=since,
            timeout=ACT_TIMEOUT,
        )
        await self._writes(WRITES_BEFORE)
        phase = await self._observer.mark("failed over")
        phases = ", ".join(f"{name} {took:.2f}" for name, took in fields(moved)["phases"].items())
        self._screen.note(
            f"beta took over; no answer for {phase['longest_outage']:.2f} s ({phases})"
        )
        self._promise(
            "a lost host's group runs on the other one",
            f"on {fields(moved)['node']}; longest outage {phase['longest_outage']:.2f} s",
            True,
        )
        self.outcome.incidents.append(("the host alpha was lost", moved.correlationid))

    async def _host_returns(self) -> None:
        self._screen.step("alpha is switched on again, and its copy catches up")
        since = len(self._watcher.seen)
        await self._stage.start_host("alpha")
        await self._caught_up(since)
        status = await self._until(
            lambda status: all(
                node["state"] == "alive" and node["lease_valid"] for node in status["nodes"]
            )
        )
        owner, phase = self._owner(status)
        self._promise(
            "the host that returns takes nothing back by itself",
            f"the ledger is {phase} on {owner}",
            (owner, phase) == ("beta", "active"),
        )

    async def _caught_up(self, since: int) -> None:
        """The old primary's copy gets what it missed, while the ledger goes on on beta."""
        began = time.monotonic()
        sent = await copies.resent(self._watcher, "alpha", since=since)
        took = time.monotonic() - began
        await self._writes(WRITES_BEFORE)
        self._screen.note(f"in sync after {took:.1f} s; {sent / 1024:.0f} KiB of 64 MiB sent")
        self._promise(
            "a returning copy gets what it missed, and only that",
            f"{sent / 1024:.0f} KiB sent, in sync after {took:.1f} s",
            0 < sent < MOST_RESENT and await copies.all_in_sync(self._stage),
        )

    async def _verdict(self) -> None:
        self._screen.step("reading everything back, and asking why")
        report = await self._observer.finish()
        verdict = report["verdict"] or {}
        self._promise(
            "no acknowledged entry is lost, none is written twice",
            f"{report['acknowledged']} acknowledged, {verdict.get('lost')} lost, "
            f"{verdict.get('duplicated')} twice",
            bool(report["ok"]),
        )
        for title, incident in self.outcome.incidents:
            code, text = await run(
                self._stage.holdfast("why", incident, "--width", str(self._width)),
                timeout=COMMAND_TIMEOUT,
            )
            self.outcome.explanations.append(f"{title}\n{text}")
            self._promise(f"`holdfast why` explains: {title}", f"exit code {code}", code == 0)
        await self._audit()

    async def _audit(self) -> None:
        """The record is complete once alpha has published what it could not say before."""
        deadline = time.monotonic() + ACT_TIMEOUT
        command = self._stage.holdfast("audit", "verify", "--json")
        while True:
            code, text = await run(command, timeout=COMMAND_TIMEOUT)
            if code == 0 or time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL)
        report = json.loads(text.splitlines()[-1]) if text.strip() else {}
        findings = report.get("findings", [])
        seen = f"{report.get('events', '?')} events, {len(findings)} findings"
        self._promise("`holdfast audit verify` proves the record", seen, code == 0)

    async def _writes(self, more: int) -> None:
        goal = await self._observer.acknowledged() + more
        deadline = time.monotonic() + ACT_TIMEOUT
        while await self._observer.acknowledged() < goal:
            if time.monotonic() > deadline:
                raise DemoFailed("the ledger acknowledges nothing")
            await asyncio.sleep(POLL)

    async def _until(self, wanted: Any) -> dict[str, Any]:
        deadline, text = time.monotonic() + SETTLE_TIMEOUT, "nothing"
        while time.monotonic() < deadline:
            _, text = await run(self._stage.holdfast("status", "--json"), timeout=COMMAND_TIMEOUT)
            status = msgspec.json.decode(text) if text.strip().startswith("{") else {}
            if status.get("groups") and wanted(status):
                return status
            await asyncio.sleep(POLL)
        raise DemoFailed(f"the cluster did not settle within {SETTLE_TIMEOUT:.0f} s: {text}")

    @staticmethod
    def _owner(status: dict[str, Any]) -> tuple[str | None, str]:
        (group,) = status["groups"]
        return group["owner"], group["phase"]

    def _promise(self, text: str, seen: str, kept: bool) -> None:
        self.outcome.promises.append(Promise(text, seen, kept))
