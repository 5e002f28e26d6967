"""What proves that a boot of a node is over, or that its lease is."""

from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast.events.fields import BootId, EventId, NodeName


class FenceProof(msgspec.Struct, frozen=True, kw_only=True, tag_field="proof"):
    """Why this boot of this node cannot act any more. Nothing else lets a group start elsewhere."""

    node: NodeName
    boot: BootId


class FencedOff(FenceProof, frozen=True, kw_only=True, tag="fenced_off"):
    """A fence agent reported status off after, or without, an `off`."""

    agent: Annotated[str, Meta(max_length=200)]
    event: EventId
    devices: Annotated[list[str], Meta(max_length=8)] = []


class WatchdogExpired(FenceProof, frozen=True, kw_only=True, tag="watchdog_expired"):
    """An armed watchdog has reset it: proof once the majority's promises have run out as well."""

    timeout: Annotated[float, Meta(gt=0, le=60)]


class OperatorWord(FenceProof, frozen=True, kw_only=True, tag="operator_word"):
    """An operator vouches, by the signature of a key of the cluster, that it is off."""

    operator: Annotated[str, Meta(max_length=100)]
    key: Annotated[str, Meta(max_length=100)]
    event: EventId


class LeaseExpired(FenceProof, frozen=True, kw_only=True, tag="lease_expired"):
    """The majority's promises have run out: proof only in a cluster configured `lease-only`."""


Proof = FencedOff | LeaseExpired | WatchdogExpired | OperatorWord
