"""`holdfast why` and `audit verify` read the record of a real server as the operator."""

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from holdfast import subjects
from holdfast.bus import Bus
from holdfast.console import audit, why
from holdfast.console.record import RecordUnreadable, extent, read_events
from holdfast.console.stored import BATCH
from holdfast.events import Envelope, encode_envelope
from holdfast.events.examples import record
from holdfast.streams import ensure_streams
from tests.support.nats import MakeServers, NatsServer
from tests.support.users import authorization

RECORD = record()


@pytest.fixture
def server(make_nats: MakeServers, tmp_path: Path) -> NatsServer:
    users = ["operator", "failover_decider@alpha"]
    return make_nats(["alpha"], authorization(users, tmp_path))[0]


async def _connect(server: NatsServer, user: str, folder: Path) -> Bus:
    inbox = f"_INBOX_{user.replace('@', '_')}" if "@" in user else f"_INBOX_{user}_{user}"
    bus = Bus([server.url], name=user, inbox=inbox, seed=folder / f"{user}.nk")
    await bus.connect()
    return bus


async def _store(bus: Bus, envelopes: list[Envelope]) -> None:
    await ensure_streams(bus, len(bus.servers))
    for envelope in envelopes:
        subject = subjects.event(envelope.type.split(".")[1])
        await bus.jetstream().publish(subject, encode_envelope(envelope))


async def test_the_operator_reads_verifies_and_explains_the_record(
    server: NatsServer, tmp_path: Path
) -> None:
    decider = await _connect(server, "failover_decider@alpha", tmp_path)
    operator = await _connect(server, "operator", tmp_path)
    # More than one batch: the whole record again and again, which at-least-once allows.
    copies = BATCH // len(RECORD) + 1
    await _store(decider, list(RECORD) * copies)
    seen: list[tuple[int, int]] = []
    events = await read_events(operator, lambda done, total: seen.append((done, total)))
    assert [e.id for e in events] == [e.id for e in RECORD] * copies
    assert seen[-1] == (len(events), len(events))
    console = Console(record=True, width=100, file=io.StringIO())
    assert await audit.verify(operator, console) == audit.SOUND
    assert "The record proves itself" in console.export_text()
    assert why.explain(events, "ledger").id == RECORD[-2].correlationid

    forged = msgspec.structs.replace(RECORD[5], subject="node/forged")
    await _store(decider, [forged])
    assert await audit.verify(operator, console) == audit.UNSOUND
    for bus in (decider, operator):
        await bus.close()


async def test_a_missing_stream_is_said_and_is_not_a_bad_record(
    server: NatsServer, tmp_path: Path
) -> None:
    operator = await _connect(server, "operator", tmp_path)
    with pytest.raises(RecordUnreadable, match="stream not found"):
        await extent(operator)
    console = Console(record=True, width=100, file=io.StringIO())
    assert await audit.verify(operator, console) == audit.UNREADABLE
    await operator.close()
