"""The kinds of fence proof, as the record names and explains them, and what each is worth."""

from holdfast.ownership import OwnershipRecord, Phase
from holdfast.wire import FencedOff, LeaseExpired, OperatorWord, Proof, WatchdogExpired

_KINDS: dict[type[Proof], str] = {
    FencedOff: "fenced_off",
    WatchdogExpired: "watchdog_expired",
    OperatorWord: "operator_word",
    LeaseExpired: "lease_expired",
}


def kind(proof: Proof) -> str:
    """Its name on the record."""
    return _KINDS[type(proof)]


def stop_failed(record: OwnershipRecord) -> bool:
    """Whether a stop failed at the record's owner, in the record's boot."""
    fencing_for_it = record.phase == Phase.FENCING and bool(record.reason)
    return record.owner is not None and (record.phase == Phase.HELD or fencing_for_it)


def suffices(proof: Proof | None, record: OwnershipRecord, *, managed: bool = True) -> bool:
    """Whether a proof counts for a group. What a stop did not end does not end with the lease, nor
    does what is not `managed`: the hands say nothing of it, so they may not have stopped it."""
    ends_with_the_lease = managed and not stop_failed(record)
    return proof is not None and (ends_with_the_lease or not isinstance(proof, LeaseExpired))


def is_off(proof: Proof | None) -> bool:
    """Whether it says that the machine itself was off, so that nothing of that boot runs."""
    return isinstance(proof, FencedOff | OperatorWord)


def detail(proof: Proof, ttl: float) -> str:
    """What the proof rests on, in words; `ttl` in seconds."""
    match proof:
        case FencedOff():
            return f"{', '.join(proof.devices) or proof.agent}: off"[:1000]
        case WatchdogExpired():
            return (
                f"a majority has heard nothing from it for {ttl} s, and its watchdog was armed: "
                f"unless renewed, or all is stopped, it resets the node after {proof.timeout:g} s"
            )
        case OperatorWord():
            return f"{proof.operator} vouches that it is off, signed by {proof.key}"
        case LeaseExpired():
            return (
                f"lease-only: a majority has heard nothing from it for {ttl} s, "
                "and nothing but its own self-stop says that it is down"
            )
