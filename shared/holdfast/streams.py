"""The streams of the cluster, and keeping their leaders off nodes that own groups."""

import asyncio
import logging
from typing import Any

from holdfast import jetstream
from holdfast.bus import Bus
from holdfast.bus_errors import BusError, StoreRefused
from holdfast.errors import HoldfastError
from holdfast.events import MAX_EVENT_BYTES
from holdfast.subjects import EVENT_STREAM, EVENTS, OWNERSHIP_BUCKET, VOLUMES_BUCKET
from holdfast.wire import MAX_MESSAGE_BYTES

OWNERSHIP_STREAM = f"KV_{OWNERSHIP_BUCKET}"
VOLUMES_STREAM = f"KV_{VOLUMES_BUCKET}"
CALL_TIMEOUT = 1.0
"""Seconds. While a leader is being elected JetStream does not answer at all: ask again soon."""
RETRY_AFTER = 0.2
EVENT_BYTES = 1024 * 1024 * 1024
BUCKET_BYTES = 64 * 1024 * 1024
HISTORY = 5
DUPLICATE_WINDOW_NS = 600 * 10**9

_NOT_FOUND = 10059
_log = logging.getLogger("holdfast.streams")


class BucketsLost(HoldfastError):
    """A bucket of records that this cluster had is missing, or another one is in its place."""


def replicas(places: int) -> int:
    """How many places keep each stream: five of five or more, which is the most that JetStream has.

    Streams must bear the losses that the voters bear. With three of five, the loss of two places
    could take a stream's majority, and so stop every failover, although most voters remain.
    """
    return min(places, 5 if places >= 5 else 3)


def stream_settings(replicas: int) -> list[dict[str, Any]]:
    """What the streams must be, in the terms of JetStream's API.

    The record drops its oldest events when its gigabyte (a million events) is full: a record that
    refused new ones instead would fill every spool and stop the services it describes. It says
    so itself, for its first sequence number is then greater than 1; `audit verify` reports it.
    """
    common = {
        "storage": "file",
        "retention": "limits",
        "num_replicas": replicas,
        "deny_delete": True,
        "deny_purge": True,
        "allow_direct": False,
        "allow_rollup_hdrs": False,
    }
    return [
        {
            **common,
            "name": EVENT_STREAM,
            "subjects": [EVENTS],
            "discard": "old",
            "max_bytes": EVENT_BYTES,
            "max_msg_size": MAX_EVENT_BYTES + 1024,
            "duplicate_window": DUPLICATE_WINDOW_NS,
        },
        *(
            {
                **common,
                "name": f"KV_{bucket}",
                "subjects": [f"$KV.{bucket}.>"],
                "discard": "new",
                "max_bytes": BUCKET_BYTES,
                "max_msg_size": MAX_MESSAGE_BYTES,
                "max_msgs_per_subject": HISTORY,
            }
            for bucket in (OWNERSHIP_BUCKET, VOLUMES_BUCKET)
        ),
    ]


async def ensure_streams(
    bus: Bus, places: int, *, known: dict[str, str] | None = None, timeout: float = 60.0
) -> dict[str, str]:
    """Create the streams, or bring them back to what they must be. Idempotent.

    `places`: how many nats-servers there are; each may have an address on several networks.
    `known`: when each bucket was made, by its stream, as somebody remembers; none is made in the
    place of one of these. Returns the same of those that are there now.
    Tries again while the cluster is still forming, for `timeout` seconds; then raises the last
    BusError. Raises BucketsLost.
    """
    made = {}
    for settings in stream_settings(replicas(places)):
        name = settings["name"]
        remembered = (known or {}).get(name, "")
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                made[name] = await _ensure(bus, settings, remembered)
                break
            except BusError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                _log.info("stream %s is not ready yet: %s", name, error.problem)
                await asyncio.sleep(RETRY_AFTER)
    del made[EVENT_STREAM]  # it may be made anew: what runs does not rest on it
    return made


async def bucket_times(bus: Bus) -> dict[str, str]:
    """When each bucket was made, by its stream, if it is there. Raises BusError."""
    made = {}
    for name in (OWNERSHIP_STREAM, VOLUMES_STREAM):
        info = await _info(bus, name)
        if info is not None:
            made[name] = str(info["created"])
    return made


async def _ensure(bus: Bus, settings: dict[str, Any], remembered: str) -> str:
    """When it was made."""
    name = settings["name"]
    info = await _info(bus, name)
    if remembered and (info is None or info["created"] != remembered):
        what = "is missing" if info is None else f"was made anew at {info['created']}"
        raise BucketsLost(
            f"the bucket that this cluster has had since {remembered} {what}",
            place=name,
            cure="nothing is started until you have seen to it: see `The ownership records are "
            "lost` in docs/failure-guide.md",
        )
    if info is None:
        info = await jetstream.api(bus, f"STREAM.CREATE.{name}", settings, timeout=CALL_TIMEOUT)
    present: dict[str, Any] = info["config"]
    differing = {key for key, value in settings.items() if present.get(key, False) != value}
    if differing:
        _log.warning("stream %s differs in %s, correcting", name, ", ".join(sorted(differing)))
        await jetstream.api(
            bus, f"STREAM.UPDATE.{name}", {**present, **settings}, timeout=CALL_TIMEOUT
        )
    return str(info["created"])


async def _info(bus: Bus, name: str) -> dict[str, Any] | None:
    """What JetStream says of a stream; None: there is none. Raises BusError."""
    try:
        return await jetstream.api(bus, f"STREAM.INFO.{name}", {}, timeout=CALL_TIMEOUT)
    except StoreRefused as error:
        if error.code != _NOT_FOUND:
            raise
        return None


async def move_stream_leaders(bus: Bus, away_from: set[str]) -> None:
    """Let the streams be led elsewhere than by the named places. Raises a BusError.

    A stream whose leader's server dies takes no writes for seconds; so the leaders do not share
    the fate of the groups. Does nothing when no other replica is current.
    """
    for name in (VOLUMES_STREAM, OWNERSHIP_STREAM, EVENT_STREAM):
        info = await jetstream.api(bus, f"STREAM.INFO.{name}", {}, timeout=CALL_TIMEOUT)
        cluster: dict[str, Any] = info.get("cluster", {})
        if cluster.get("leader") not in away_from:
            continue
        better = [
            replica["name"]
            for replica in cluster.get("replicas", [])
            if replica.get("current")
            and not replica.get("offline")
            and replica["name"] not in away_from
        ]
        if better:
            await jetstream.api(
                bus,
                f"STREAM.LEADER.STEPDOWN.{name}",
                {"placement": {"preferred": better[0]}},
                timeout=CALL_TIMEOUT,
            )
