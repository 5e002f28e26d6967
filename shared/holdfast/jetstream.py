"""JetStream calls in the open: each is one request, so permissions can name exactly these subjects.

A refusal by the server (StoreRefused: nothing happened) is told apart from silence (BusTimeout:
it may have happened).
"""

from typing import Any

import msgspec

from holdfast.bus import Bus
from holdfast.bus_errors import BadReply, Conflict, StoreRefused

_WRONG_REVISION = (10071, 10164)


async def publish(
    bus: Bus, subject: str, payload: bytes, *, headers: dict[str, str], timeout: float
) -> int:
    """Store one message; returns its sequence in the stream. Raises a BusError."""
    answer = await bus.call(subject, payload, headers=headers, timeout=timeout)
    reply = _checked(subject, answer.data)
    sequence = reply.get("seq")
    if not isinstance(sequence, int) or "stream" not in reply:
        raise _not_jetstream(subject)
    return sequence


async def compare_and_set(
    bus: Bus, subject: str, payload: bytes, revision: int, *, timeout: float
) -> int:
    """Write a key that still stands at `revision` (0: it must not exist); the new revision.

    Raises Conflict, StoreRefused or BusUnavailable (not written), or BusTimeout: it may have been.
    """
    try:
        return await publish(
            bus,
            subject,
            payload,
            headers={"Nats-Expected-Last-Subject-Sequence": str(revision)},
            timeout=timeout,
        )
    except StoreRefused as error:
        if error.code not in _WRONG_REVISION:
            raise
        raise Conflict(
            f"not at revision {revision} any more",
            place=subject,
            cure="take the newer record into account and decide again",
        ) from error


async def api(bus: Bus, call: str, request: dict[str, Any], *, timeout: float) -> dict[str, Any]:
    """One call of the JetStream API, `$JS.API.<call>`. Raises a BusError."""
    subject = f"$JS.API.{call}"
    answer = await bus.call(
        subject, msgspec.json.encode(request) if request else b"", timeout=timeout
    )
    return _checked(subject, answer.data)


def _checked(subject: str, raw: bytes) -> dict[str, Any]:
    try:
        reply = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise _not_jetstream(subject) from error
    refusal = reply.get("error")
    if refusal is not None:
        raise StoreRefused(
            f"JetStream refused: {refusal.get('description')} ({refusal.get('err_code')})",
            place=subject,
            cure="see `nats stream report` and the log of nats-server",
            code=int(refusal.get("err_code", 0)),
        )
    return reply


def _not_jetstream(subject: str) -> BadReply:
    return BadReply(
        "the answer is not JetStream's",
        place=subject,
        cure="who else may subscribe to this subject? check the permissions",
    )
