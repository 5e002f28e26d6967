"""The example story of a replicated volume: it loses a copy, and gets it back."""

from typing import Any

from holdfast.events.envelope import Envelope
from holdfast.events.example_recorder import Recorder
from holdfast.events.fields import Health, Layer
from holdfast.events.health import HealthSignal
from holdfast.events.storage import (
    VolumeCreated,
    VolumeDataPathEnded,
    VolumeDeposed,
    VolumeDiskFailed,
    VolumeFallbackLost,
    VolumeFellBack,
    VolumeFrozen,
    VolumeLossAccepted,
    VolumeMemberJoined,
    VolumeMemberLost,
    VolumeRepaired,
    VolumeResyncFinished,
    VolumeResyncStarted,
    VolumeSetChanged,
    VolumeThawed,
    VolumeVerified,
    VolumeVerifyCut,
)
from holdfast.events.system import OperatorRequest

STORAGE = "storage_replication"
_SIZE = 20 << 30


def volume_story(record: Recorder) -> None:
    """Everything that is said of a replicated volume, once."""
    request = record(
        "beta",
        STORAGE,
        OperatorRequest(operator="ana", request="create_volume", arguments={"volume": "orders"}),
    )
    created = VolumeCreated(
        volume="orders", node="beta", epoch=0, size=_SIZE, members=["alpha", "beta"]
    )
    record("beta", STORAGE, created, request)
    lost = _alpha_is_lost(record)
    _alpha_comes_back(record, lost)
    _what_may_go_wrong(record, lost)


def _change(change: str, in_sync: list[str], epoch: int = 2) -> VolumeSetChanged:
    return VolumeSetChanged(
        volume="orders",
        node="beta",
        epoch=epoch,
        change="taken_out" if change == "taken_out" else "taken_in",
        member="alpha",
        in_sync=in_sync,
        size=_SIZE,
    )


def _alpha_is_lost(record: Recorder) -> Envelope:
    signal = record(
        "beta",
        STORAGE,
        HealthSignal(
            layer=Layer.STORAGE,
            node="alpha",
            observer="beta",
            probe="replica-alpha",
            state=Health.DEGRADED,
            previous=Health.OK,
            reason="silent for 1.6 s",
            instance="epoch:2",
        ),
    )
    said: dict[str, Any] = {"volume": "orders", "node": "beta", "epoch": 2}
    lost = record(
        "beta", STORAGE, VolumeMemberLost(**said, member="alpha", reason="silent for 5.8 s"), signal
    )
    record("beta", STORAGE, VolumeFrozen(**said, members=["alpha"]), lost)
    record("beta", STORAGE, _change("taken_out", ["beta"]), lost)
    record("beta", STORAGE, VolumeThawed(**said), lost)
    return lost


def _alpha_comes_back(record: Recorder, lost: Envelope) -> None:
    said: dict[str, Any] = {"volume": "orders", "node": "beta", "epoch": 2}
    resync = VolumeResyncStarted(**said, member="alpha", bytes=25165824, in_place=False)
    record("beta", STORAGE, resync, lost)
    record("beta", STORAGE, _change("taken_in", ["beta", "alpha"]), lost)
    record("beta", STORAGE, VolumeResyncFinished(**said, member="alpha", bytes=4325376), lost)
    record("beta", STORAGE, VolumeMemberJoined(**said, member="alpha"), lost)
    verified = VolumeVerified(**said, member="alpha", differences=1, ranges=["8192+4096"])
    record("beta", STORAGE, verified, lost)
    record("beta", STORAGE, VolumeRepaired(**said, member="alpha", ranges=1), lost)
    cut = VolumeVerifyCut(**said, member="alpha", reason="connection lost")
    record("beta", STORAGE, cut, lost)


def _what_may_go_wrong(record: Recorder, lost: Envelope) -> None:
    said: dict[str, Any] = {"volume": "orders", "node": "alpha", "epoch": 1}
    record("alpha", STORAGE, VolumeDeposed(**said, successor=2), lost)
    record("alpha", STORAGE, VolumeDiskFailed(**said, reason="Input/output error"), lost)
    record("alpha", STORAGE, VolumeFallbackLost(**said), lost)
    record("alpha", STORAGE, VolumeFellBack(**said), lost)
    record("alpha", STORAGE, VolumeDataPathEnded(**said, reason="signal 9"), lost)
    loss = "ana accepts: up to 4096 bytes of the last 0.8 s"
    record("alpha", STORAGE, VolumeLossAccepted(**said, loss=loss), lost)
