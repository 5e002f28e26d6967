"""The notifier against a real server with real permissions, and a real webhook receiver."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast import subjects
from holdfast.bus import Bus
from holdfast.config.model import LogChannel, WebhookChannel
from holdfast.events import Envelope, Health, Layer, decode_data, encode_envelope, event_types
from holdfast.events.examples import examples, record
from holdfast.events.health import HealthSignal
from holdfast.events.system import NotificationFailed, NotificationSent
from holdfast.notifier import core
from holdfast.notifier.channels import SendFailed, open_channel
from holdfast.notifier.channels.webhook import Webhook
from holdfast.notifier.delivered import Delivered, MemoryLost
from holdfast.notifier.delivery import MAX_WAITING, Delivery, Ticket
from holdfast.notifier.intake import Intake
from holdfast.streams import ensure_streams
from tests.support.nats import MakeServers, NatsServer, free_ports
from tests.support.users import authorization
from tests.support.waiting import until
from tests.support.webhooks import receiver

RECORD = record()
NOTABLE = [e for e in RECORD if core.notable(decode_data(e), None)]
Reports = list[tuple[NotificationSent | NotificationFailed, Envelope]]


def at_once(attempt: int) -> float:
    """No waiting between attempts."""
    return 0.0


@pytest.fixture
def server(make_nats: MakeServers, tmp_path: Path) -> NatsServer:
    users = ["notifier@alpha", "failover_decider@alpha", "monitor@alpha"]
    return make_nats(["alpha"], authorization(users, tmp_path))[0]


@pytest.fixture
async def bus_as(server: NatsServer, tmp_path: Path) -> AsyncIterator[Callable[[str], Any]]:
    made: list[Bus] = []

    async def connect(user: str) -> Bus:
        inbox = f"_INBOX_{user.replace('@', '_')}"
        bus = Bus([server.url], name=user, inbox=inbox, seed=tmp_path / f"{user}.nk")
        made.append(bus)
        await bus.connect()
        return bus

    yield connect
    for bus in made:
        await bus.close()


async def publish(bus: Bus, envelopes: list[Envelope]) -> None:
    js = bus.jetstream()
    for envelope in envelopes:
        subject = subjects.event(envelope.type.split(".")[1])
        await js.publish(subject, encode_envelope(envelope))


def delivery(folder: Path, name: str, settings: Any, reports: Reports) -> Delivery:
    memory = Delivered(folder / f"{name}.delivered")
    report = lambda data, about: reports.append((data, about))  # noqa: E731
    return Delivery(name, open_channel(settings), memory, report, wait=at_once)


@asynccontextmanager
async def running(bus: Bus, deliveries: list[Delivery]) -> AsyncIterator[list[str]]:
    rejected: list[str] = []
    intake = Intake(
        bus,
        deliveries,
        partial(core.notable, names=None),
        lambda subject, kind, reason: rejected.append(kind),
    )
    work = [intake.run(), intake.acknowledge(), intake.keep(), *(d.run() for d in deliveries)]
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield rejected
    finally:
        left = set(tasks)
        async with asyncio.timeout(20):
            while left:  # a cancellation can be lost within nats-py's use of wait_for
                for task in left:
                    task.cancel()
                _, left = await asyncio.wait(left, timeout=0.2)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in ended), ended


async def pending(bus: Bus) -> tuple[int, int]:
    info = await bus.jetstream().consumer_info(subjects.EVENT_STREAM, "notifier")
    return info.num_pending or 0, info.num_ack_pending or 0


async def acknowledged(bus: Bus, *, but: int = 0) -> None:
    """Wait until all events but so many are acknowledged: an acknowledgement is on its way."""
    async with asyncio.timeout(10):
        # The server tells this only when asked.
        while await pending(bus) != (0, but):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_waits_for_the_stream_then_tells_every_channel_of_what_is_notable_once(
    bus_as: Callable[[str], Any], tmp_path: Path
) -> None:
    bus, decider = await bus_as("notifier@alpha"), await bus_as("failover_decider@alpha")
    monitor = await bus_as("monitor@alpha")
    log, reports = tmp_path / "notes.jsonl", Reports()
    async with receiver() as hook:
        channels = [
            delivery(tmp_path, "hook", WebhookChannel(url=hook.url), reports),
            delivery(tmp_path, "log", LogChannel(path=str(log)), reports),
        ]
        async with running(bus, channels):
            await ensure_streams(decider, len(decider.servers))
            await publish(monitor, list(RECORD))
            await until(lambda: len(reports) == 2 * len(NOTABLE))
            await acknowledged(bus)
        assert [json.loads(r.body)["id"] for r in hook.requests] == [e.id for e in NOTABLE]
        first = hook.requests[0]
        assert first.target == "POST /hook?token=s3cret HTTP/1.1"
        assert first.headers["content-type"] == "application/cloudevents+json"
        assert first.headers["idempotency-key"] == NOTABLE[0].id
        assert first.body == encode_envelope(NOTABLE[0])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["id"] for line in lines] == [e.id for e in NOTABLE]
    assert "beta is suspected: silent for 1.50 s" in [line["text"] for line in lines]
    assert all(isinstance(data, NotificationSent) and data.about == e.id for data, e in reports)


async def test_replayed_and_redelivered_events_are_not_told_again(
    bus_as: Callable[[str], Any], tmp_path: Path
) -> None:
    bus, decider = await bus_as("notifier@alpha"), await bus_as("failover_decider@alpha")
    await ensure_streams(decider, len(decider.servers))
    await publish(decider, list(RECORD))
    log, reports = tmp_path / "notes.jsonl", Reports()
    settings = LogChannel(path=str(log))
    for round_ in range(2):
        async with running(bus, [delivery(tmp_path, "log", settings, reports)]):
            if round_ == 1:
                await publish(decider, list(RECORD))
                await publish(decider, list(RECORD))
            await until(lambda: len(reports) == len(NOTABLE))
            await acknowledged(bus)
    assert len(log.read_text().splitlines()) == len(NOTABLE)


async def test_a_dead_channel_holds_up_no_other_and_is_reported(
    bus_as: Callable[[str], Any], tmp_path: Path
) -> None:
    bus, decider = await bus_as("notifier@alpha"), await bus_as("failover_decider@alpha")
    await ensure_streams(decider, len(decider.servers))
    log, reports = tmp_path / "notes.jsonl", Reports()
    async with receiver() as hook:
        hook.answer = lambda number: ""
        silent = WebhookChannel(url=hook.url, deadline=60.0, attempts=1)
        closed = WebhookChannel(url=f"http://127.0.0.1:{free_ports(1)[0]}/", attempts=2)
        channels = [
            delivery(tmp_path, "silent", silent, reports),
            delivery(tmp_path, "closed", closed, reports),
            delivery(tmp_path, "log", LogChannel(path=str(log)), reports),
        ]
        async with running(bus, channels):
            await publish(decider, list(RECORD))
            await until(lambda: len(reports) == 2 * len(NOTABLE))
            await acknowledged(bus, but=len(NOTABLE))  # what the silent channel still owes
    failed = [data for data, _ in reports if isinstance(data, NotificationFailed)]
    assert {data.channel for data in failed} == {"closed"}
    assert {data.attempts for data in failed} == {2}
    assert len(log.read_text().splitlines()) == len(NOTABLE)


async def test_what_was_not_acknowledged_is_told_by_the_next_notifier(
    bus_as: Callable[[str], Any], tmp_path: Path
) -> None:
    bus, decider = await bus_as("notifier@alpha"), await bus_as("failover_decider@alpha")
    await ensure_streams(decider, len(decider.servers))
    await publish(decider, [NOTABLE[0]])
    reports = Reports()
    async with receiver() as hook:
        hook.answer = lambda number: "" if number == 1 else "204 No Content"
        settings = WebhookChannel(url=hook.url, deadline=60.0)
        async with running(bus, [delivery(tmp_path, "hook", settings, reports)]):
            await until(lambda: len(hook.requests) == 1)
            message = await bus.jetstream().consumer_info(subjects.EVENT_STREAM, "notifier")
            assert message.num_ack_pending == 1
        # What the server does after ack_wait, without waiting for it: the message comes again.
        await publish(decider, [NOTABLE[0]])
        async with running(bus, [delivery(tmp_path, "hook", settings, reports)]):
            await until(lambda: len(reports) == 1)
    assert hook.requests[0].body == hook.requests[1].body


async def test_what_is_no_event_is_rejected_and_acknowledged(
    bus_as: Callable[[str], Any], tmp_path: Path
) -> None:
    bus, decider = await bus_as("notifier@alpha"), await bus_as("failover_decider@alpha")
    await ensure_streams(decider, len(decider.servers))
    js = decider.jetstream()
    for raw in (b"junk", b'{"a":' * 20_000, b'{"id":"\\ud800"}'):
        await js.publish(subjects.event("health_signal"), raw)
    broken = msgspec.structs.replace(NOTABLE[0], data=msgspec.Raw(b'{"node":[]}'))
    await publish(decider, [broken, NOTABLE[1]])
    reports = Reports()
    log = LogChannel(path=str(tmp_path / "log"))
    async with running(bus, [delivery(tmp_path, "log", log, reports)]) as rejected:
        await until(lambda: len(reports) == 1)
        await acknowledged(bus)
    assert rejected == ["malformed"] * 4
    assert reports[0][1].id == NOTABLE[1].id


@pytest.mark.parametrize(
    ("statuses", "sent", "requests"),
    [
        (["500 Oops", "503 Busy", "200 OK"], True, 3),
        (["429 Slow down", "201 Created"], True, 2),
        (["500 Oops"] * 4, False, 4),
        (["404 Not Found"], False, 1),
        (["307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/"], False, 1),
        (["garbage", "200 OK"], True, 2),
    ],
)
async def test_a_webhook_is_tried_again_only_where_that_may_help(
    statuses: list[str], sent: bool, requests: int, tmp_path: Path
) -> None:
    reports = Reports()
    async with receiver() as hook:
        hook.answer = lambda number: statuses[number - 1]
        one = delivery(tmp_path, "hook", WebhookChannel(url=hook.url, attempts=4), reports)
        await _delivered(one, NOTABLE[0])
        assert len(hook.requests) == requests
    ((data, _),) = reports
    assert isinstance(data, NotificationSent) == sent
    assert data.attempts == requests
    assert "s3cret" not in msgspec.json.encode(data).decode()


async def _delivered(one: Delivery, *envelopes: Envelope) -> None:
    """Run a delivery until it is done with these events."""
    settled: asyncio.Queue[Ticket] = asyncio.Queue()
    for envelope in envelopes:
        one.offer(Ticket(envelope, 1, settled.put_nowait))
    work = asyncio.create_task(one.run())
    async with asyncio.timeout(10):
        for _ in envelopes:
            await settled.get()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_a_webhook_that_never_answers_is_given_up_at_its_deadline() -> None:
    async with receiver() as hook:
        hook.answer = lambda number: ""
        with pytest.raises(SendFailed, match=r"no answer within 0\.05 s"):
            await Webhook(WebhookChannel(url=hook.url, deadline=0.05)).send(NOTABLE[0])


async def test_a_channel_far_behind_gives_up_its_oldest_and_says_so(tmp_path: Path) -> None:
    reports = Reports()
    many = [
        msgspec.structs.replace(NOTABLE[0], id=f"{number:036d}")
        for number in range(MAX_WAITING + 3)
    ]
    log = LogChannel(path=str(tmp_path / "log"))
    await _delivered(delivery(tmp_path, "log", log, reports), *many)
    lost = [about.id for data, about in reports if isinstance(data, NotificationFailed)]
    assert lost == [each.id for each in many[:3]]
    assert len(reports) == len(many)


async def test_a_log_may_be_rotated_and_its_failure_is_told(tmp_path: Path) -> None:
    path, reports = tmp_path / "log", Reports()
    one = delivery(tmp_path, "log", LogChannel(path=str(path)), reports)
    await _delivered(one, NOTABLE[0])
    path.rename(tmp_path / "log.1")
    await _delivered(one, NOTABLE[1])
    assert json.loads(path.read_text())["id"] == NOTABLE[1].id
    path.unlink()
    path.mkdir()
    await _delivered(one, NOTABLE[2])
    assert isinstance(reports[-1][0], NotificationFailed)
    assert "Is a directory" in reports[-1][0].reason


def test_the_memory_is_bounded_and_survives_restarts_and_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "hook.delivered"
    ids = [f"{number:036d}" for number in range(100)]
    memory = Delivered(path, remembered=10)
    for id_ in ids:
        memory.add(id_)
        assert id_ in memory
        assert path.stat().st_size <= 20 * 37
    with path.open("ab") as file:
        file.write(b"torn")
    again = Delivered(path, remembered=10)
    assert all(id_ in again for id_ in ids[-10:])
    assert ids[0] not in again
    again.add("x" * 36)
    assert "x" * 36 in Delivered(path, remembered=10)


def test_a_memory_that_cannot_be_written_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(MemoryLost, match="cure: "):
        Delivered(tmp_path / "no" / "such" / "folder")


def test_notifications_about_notifications_do_not_exist() -> None:
    for name in core.OWN:
        data = decode_data(examples()[f"holdfast.{name}.v1"])
        assert not core.notable(data, None)
        assert not core.notable(data, frozenset({name}))
        with pytest.raises(core.UnknownEvents, match=name):
            core.chosen([name])


def test_what_is_decided_no_more_and_whose_votes_count_is_told() -> None:
    quarantine = decode_data(examples()["holdfast.quarantine_began.v1"])
    assert core.notable(quarantine, None)
    voters = HealthSignal(
        layer=Layer.NETWORK,
        node="omega",
        observer="omega",
        probe="voters",
        state=Health.FAILED,
        previous=Health.UNKNOWN,
        reason="its votes count among others",
    )
    assert core.notable(voters, None)
    assert not core.notable(msgspec.structs.replace(voters, probe="lease"), None)


def test_the_configured_events_and_only_they_are_notable() -> None:
    names = core.chosen(["group_started"])
    told = {kind for kind, e in examples().items() if core.notable(decode_data(e), names)}
    assert told == {"holdfast.group_started.v1"}
    assert core.chosen([]) is None
    with pytest.raises(core.UnknownEvents, match="no_such_event"):
        core.chosen(["no_such_event"])


def test_the_default_names_exist_and_the_alarming_is_among_them() -> None:
    names = {kind.split(".")[1] for kind in event_types()}
    assert names >= core.NOTABLE
    for kind in ("move_failed", "group_held", "lease_lost", "spool_set_aside"):
        assert core.notable(decode_data(examples()[f"holdfast.{kind}.v1"]), None)
    assert not core.notable(None, None)
    assert [core.backoff(n) for n in (1, 2, 3, 99)] == [0.5, 1.0, 2.0, 10.0]
