"""How long a node's silence is waited for, and how often its fence devices are asked."""

from holdfast.failover_decider.state import State, Suspicion
from holdfast.structs import replace

ASK_AGAIN = 1.0
"""Seconds between two questions to a fence device for a node's status, within the ttl."""
LOOK_AGAIN_AT_MOST = 10.0
"""What those seconds grow to after it, for nothing new was learnt: a host that somebody switches
off by hand is still noticed before he wonders, and a device is not asked all night long."""
MAX_BACKOFF = 60.0


def silent_past_ttl(state: State, suspicion: Suspicion, now: float) -> bool:
    """Whether a node has been silent so long that its lease must have run out."""
    return now - suspicion.since >= state.timing.ttl


def pausing(state: State, suspicion: Suspicion, action: str, now: float) -> Suspicion:
    """A fence run proved nothing: the same again later, and later each time."""
    if action == "off":
        failures = suspicion.failures + 1
        pause = _doubled(failures, MAX_BACKOFF)
        return replace(suspicion, failures=failures, next_fence=now + pause)
    looks = suspicion.looks + silent_past_ttl(state, suspicion, now)
    pause = _doubled(looks, LOOK_AGAIN_AT_MOST)
    return replace(suspicion, looks=looks, next_look=now + pause)


def _doubled(times: int, at_most: float) -> float:
    """ASK_AGAIN, doubled so often; after a night of failures the power alone would be no float."""
    return min(ASK_AGAIN * 2.0 ** min(times, 16), at_most)
