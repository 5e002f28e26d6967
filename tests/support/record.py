"""Reading the whole record back, and demanding that each producer's chain is whole."""

import base64
from collections import defaultdict

from holdfast import jetstream
from holdfast.bus import Bus
from holdfast.events import ChainHead, Envelope, decode_envelope
from holdfast.events.chain import head_after
from holdfast.events.envelope import compute_hash


async def stored(bus: Bus) -> list[Envelope]:
    """Every event of HA_EVENTS, in the stream's order."""
    info = await jetstream.api(bus, "STREAM.INFO.HA_EVENTS", {}, timeout=5)
    found = []
    for sequence in range(1, info["state"]["last_seq"] + 1):
        request = {"seq": sequence}
        reply = await jetstream.api(bus, "STREAM.MSG.GET.HA_EVENTS", request, timeout=5)
        raw = base64.b64decode(reply["message"]["data"])
        found.append(decode_envelope(raw, place=f"HA_EVENTS {sequence}"))
    return found


def assert_whole(record: list[Envelope]) -> None:
    """No duplicate, no gap, no fork, nothing out of order, every hash right."""
    assert len({envelope.id for envelope in record}) == len(record)
    heads: dict[str, ChainHead] = defaultdict(ChainHead)
    for envelope in record:
        head = heads[envelope.source]
        assert int(envelope.sequence) == head.sequence + 1, envelope
        assert envelope.previoushash == head.hash
        assert envelope.hash == compute_hash(envelope)
        heads[envelope.source] = head_after(envelope)
