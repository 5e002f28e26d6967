"""The flows that begin with something else than a host's death or an operator's move, step by step.

Whoever drives a flow, the leading decider and the hands, is killed at every step of it. The others
are where the step is one of this flow alone: a stop and a start are the same in all of them.
"""

from tests.support import flow_causes as causes
from tests.support.kills_in_flows import DRIVERS, VICTIMS, Flow, Steps, at


def _stopping(place: str, *ends: str, victims: tuple[str, ...] = DRIVERS) -> Steps:
    """An ordered stop; `ends`: what runs still, and ends."""
    return at(
        place,
        "ownership_changed-stopping-{}",
        "order_sent-stop-{}",
        "order_accepted-stop-{}",
        *ends,
        "volume_released-{}",
        "group_stopped-{}",
        victims=victims,
    )


def _until_the_gate(place: str) -> Steps:
    return at(
        place,
        "ownership_changed-starting-{}",
        "order_sent-start-{}",
        "order_accepted-start-{}",
        "volume_activated-{}",
        "resource_started-web-{}",
        victims=DRIVERS,
    )


def _starting(place: str) -> Steps:
    last = at(
        place,
        "resource_started-gate-{}",
        "group_verified-{}",
        "ownership_changed-active-{}",
        "move_completed-{}",
        victims=DRIVERS,
    )
    return {**_until_the_gate(place), **last}


GATE, WEB = "resource_stopped-gate-{}", "resource_stopped-web-{}"
ASKED = ("operator_request", "decision_made-operator_switchover")
_BUSY = (  # a machine under load stalls, which moves nothing
    *("leader_lost", "leader_elected", "node_suspected-{}", "node_cleared-{}"),
    *("fence_started-status-{}", "fence_finished-status-on-{}"),
    *("health_signal-pulse-unknown-{}", "health_signal-pulse-failed-{}"),
    *("health_signal-pulse-ok-{}", "node_seen-{}"),  # a new leader greets
)
_TOLD_TWICE = (
    "health_signal-process-failed-{}",  # its monitor may be told first that it was stopped
    *("resource_started-store-{}", "resource_stopped-store-{}"),  # the volume has said so
    "group_started-{}",  # at once verified
)
BESIDE = frozenset(
    step.format(place) for step in (*_BUSY, *_TOLD_TWICE) for place in ("source", "target")
)
LEASE_AGAIN = frozenset({"health_signal-lease-ok-source", "lease_acquired-source"})
_NO_VOTES = LEASE_AGAIN | {  # the other host has no lease, either
    *("health_signal-lease-failed-target", "lease_lost-target"),
    *("health_signal-lease-ok-target", "lease_acquired-target"),
}

SELF_STOP = Flow(
    {
        **at("source", "leader_lost", "health_signal-lease-failed-{}", "lease_lost-{}"),
        **at("source", GATE, WEB, "volume_released-{}"),
        **at("source", "group_stopped-{}", "leader_elected", "lease_acquired-{}"),
        **at("source", "decision_made-owner_stopped_it"),
        **_starting("source"),
    },
    causes.runs_out,
    prepare=causes.other_host_takes_nothing,
    leader="source",
    beside=BESIDE | _NO_VOTES,
)
FAILBACK = Flow(
    {
        **at("source", "decision_made-failback"),
        **_stopping("source", GATE, WEB),
        **_starting("target"),
    },
    causes.may_move_back,
    prepare=causes.kept_on_its_second_host,
    made=causes.returning,
    beside=BESIDE | {"operator_request", "maintenance_ended"},
)
ROLL_BACK = Flow(
    {
        **at("source", *ASKED, victims=DRIVERS),
        **_stopping("source", GATE, WEB),
        **_until_the_gate("target"),
        **at("target", "resource_failed-gate-start-{}", "move_failed-start-{}"),
        **_stopping("target", WEB),
        **_starting("source"),
    },
    causes.cannot_start_there,
    beside=BESIDE,
    unstored=frozenset(ASKED),
)
FAILED_STOP = Flow(
    {
        **at("source", *ASKED, "ownership_changed-stopping-{}"),
        **at("source", "order_sent-stop-{}", "order_accepted-stop-{}"),
        **at("source", "resource_failed-gate-stop-{}", "move_failed-stop-{}"),
        **at("source", "ownership_changed-fencing-{}", "fence_started-off-{}"),
        # There are no hands at the source any more.
        **at("target", "fence_finished-off-off-source", "lease_revoked-fenced_off-source"),
        **_starting("target"),
    },
    causes.cannot_stop,
    beside=BESIDE,
    unstored=frozenset(ASKED),
)

_BOOTS = (
    *("node_suspected-source", "fence_started-status-source"),
    "fence_finished-status-failed-source",
)
_NEW_BOOT = LEASE_AGAIN | {"message_rejected"}
REBOOT = Flow(
    {
        **at("target", *_BOOTS),
        **at("source", "node_seen-{}", GATE, "volume_released-{}", "group_stopped-{}"),
        **at("source", "decision_made-owner_rebooted"),
        **_starting("target"),
    },
    causes.reboots,
    made=causes.unfenced,
    prepare=causes.on_its_second_host,
    beside=BESIDE | _NEW_BOOT,
)
UNCONFIRMED = Flow(
    {
        **at("target", *_BOOTS, victims=DRIVERS),
        **at("source", "node_seen-{}", victims=DRIVERS),
        **at("source", "decision_made-reboot_unconfirmed"),
        **_stopping("source", victims=VICTIMS),
        **_starting("target"),
    },
    causes.reboots_and_cannot_tell,
    made=causes.unfenced,
    prepare=causes.on_its_second_host,
    # What the order replaces, the hands' own stop of it, may end first, and nobody tells then.
    beside=BESIDE | _NEW_BOOT | {GATE.format("source")},
)
WORD = Flow(
    {
        **at("target", *_BOOTS, "decision_made-owner_silent_past_ttl"),
        **at("target", "ownership_changed-fencing-source", "fence_started-off-source"),
        **at(
            "target", "fence_finished-off-failed-source", "decision_refused-fence_unproven-source"
        ),
        **at("target", "operator_request", "lease_revoked-operator_word-source"),
        **_starting("target"),
    },
    causes.operator_vouches,
    made=causes.unfenced,
    beside=BESIDE,
)
FLOWS = {
    "self_stop": SELF_STOP,
    "failback": FAILBACK,
    "roll_back": ROLL_BACK,
    "failed_stop": FAILED_STOP,
    "reboot": REBOOT,
    "unconfirmed_reboot": UNCONFIRMED,
    "word": WORD,
}
