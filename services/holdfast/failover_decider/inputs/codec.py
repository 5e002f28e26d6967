"""What goes into the core and comes out of it, as bytes: generic over its structs.

A snapshot or an input that this version does not understand in full is refused: a replay that
silently left something out would prove nothing.
"""

import zlib
from typing import Any, get_args

import msgspec

from holdfast.config.model import ClusterFile
from holdfast.errors import HoldfastError
from holdfast.events import event_name
from holdfast.failover_decider.messages import Effect, Emit, Input
from holdfast.failover_decider.state import State
from holdfast.lease import VoterState
from holdfast.wire import MAX_SNAPSHOT_BYTES, Refused, SnapshotReply

MAX_UNPACKED = 16 * 1024 * 1024


class UnknownShape(HoldfastError):
    """Bytes that are no state or input of this version."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One decider and its place's voter at one moment of that place's monotonic seconds."""

    state: State
    voter: VoterState
    now: float


_KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Input)}
_decoders = {name: msgspec.msgpack.Decoder(kind) for name, kind in _KINDS.items()}
_state_decoder = msgspec.msgpack.Decoder(State)
_snapshot_decoder = msgspec.msgpack.Decoder(Snapshot)
_encoder = msgspec.msgpack.Encoder()
# Sets have no order of their own: without this, equal effects could be different bytes.
_canonical = msgspec.msgpack.Encoder(order="deterministic")


def without_secrets(state: State) -> State:
    """The state without the options of fence devices: they may be secret; no rule reads them."""
    nodes = {
        name: msgspec.structs.replace(
            node, fence=[msgspec.structs.replace(device, options={}) for device in node.fence]
        )
        for name, node in state.cluster.nodes.items()
    }
    cluster: ClusterFile = msgspec.structs.replace(state.cluster, nodes=nodes)
    return msgspec.structs.replace(state, cluster=cluster)


def encode_state(state: State) -> bytes:
    """A state without its secrets."""
    return _encoder.encode(without_secrets(state))


def decode_state(raw: bytes) -> State:
    """The state that `encode_state` wrote. Raises UnknownShape."""
    state = _decode(raw, _state_decoder, "state")
    assert isinstance(state, State)
    return state


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """A snapshot without its secrets."""
    safe = msgspec.structs.replace(snapshot, state=without_secrets(snapshot.state))
    return _encoder.encode(safe)


def decode_snapshot(raw: bytes) -> Snapshot:
    """What `encode_snapshot` wrote. Raises UnknownShape."""
    snapshot = _decode(raw, _snapshot_decoder, "snapshot")
    assert isinstance(snapshot, Snapshot)
    return snapshot


def pack(snapshot: Snapshot) -> SnapshotReply | Refused:
    """A snapshot for the bus, if it is small enough."""
    packed = zlib.compress(encode_snapshot(snapshot))
    if len(packed) > MAX_SNAPSHOT_BYTES:
        return Refused(reason=f"the state is {len(packed)} bytes, {MAX_SNAPSHOT_BYTES} may be sent")
    return SnapshotReply(place=snapshot.state.place, packed=packed)


def unpack(reply: SnapshotReply) -> Snapshot:
    """What `pack` made. Raises UnknownShape."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(reply.packed, MAX_UNPACKED)
    except zlib.error as error:
        raise _unknown(f"the state of {reply.place}", str(error)) from error
    return decode_snapshot(raw)


def encode_input(happened: Input) -> tuple[str, bytes]:
    """The name of its type, and its bytes."""
    return type(happened).__name__, _encoder.encode(happened)


def decode_input(kind: str, raw: bytes) -> Input:
    """The input that `encode_input` wrote. Raises UnknownShape."""
    if kind not in _decoders:
        raise _unknown(f"input {kind}", "this version has no such input")
    happened: Input = _decode(raw, _decoders[kind], f"input {kind}")
    return happened


def encode_effects(effects: list[Effect]) -> bytes:
    """The canonical bytes of a step's effects; none: no bytes."""
    return _canonical.encode([_named(effect) for effect in effects]) if effects else b""


def decode_effects(raw: bytes) -> list[list[Any]]:
    """Effects as plain values, for showing: each begins with its name, an event's with two."""
    return msgspec.msgpack.decode(raw, type=list[list[Any]]) if raw else []


def _named(effect: Effect) -> list[Any]:
    if isinstance(effect, Emit):
        return ["Emit", event_name(effect.draft.data), effect.draft]
    return [type(effect).__name__, effect]


def _decode(raw: bytes, decoder: msgspec.msgpack.Decoder[Any], what: str) -> Any:
    try:
        decoded = decoder.decode(raw)
        again = _encoder.encode(decoded)
        if again == raw:
            return decoded
        lost = _lost(msgspec.msgpack.decode(raw), msgspec.msgpack.decode(again), what)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unknown(what, str(error)) from error
    if lost:
        raise _unknown(what, f"this version has no {lost}")
    return decoded


def _lost(written: Any, understood: Any, where: str) -> str:
    """The first part of what was written that was not understood; fields added since are fine."""
    if isinstance(written, dict) and isinstance(understood, dict):
        for key, value in written.items():
            if key not in understood:
                return f"{where}.{key}"
            if lost := _lost(value, understood[key], f"{where}.{key}"):
                return lost
    elif isinstance(written, list) and isinstance(understood, list):
        if len(written) != len(understood):
            return where
        for one, other in zip(written, understood, strict=True):
            if lost := _lost(one, other, where):
                return lost
    return ""


def _unknown(what: str, problem: str) -> UnknownShape:
    return UnknownShape(
        problem,
        place=what,
        cure="read it with the version that wrote it, which a journal's head names",
    )
