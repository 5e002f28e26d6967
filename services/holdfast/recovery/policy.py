"""Local recovery: whether a failed resource is restarted here once more, or the group must move.

Pure. Times are monotonic seconds. The names of the rules stand in the events they cause.
"""

from dataclasses import dataclass

from holdfast.config.model import LocalRecovery

RESTART = "restart_resource"
DISABLED = "recovery_disabled"
USED_UP = "attempts_used_up"
STOP_FAILED = "stop_failed"


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart it, as attempt number `attempt` of the window, after `delay` seconds."""

    rule: str
    attempt: int
    delay: float


@dataclass(frozen=True, slots=True)
class Escalate:
    """Nothing more is to be done here: the decider must move the group."""

    rule: str
    reason: str


def judge(policy: LocalRecovery, attempts: tuple[float, ...], now: float) -> Restart | Escalate:
    """The first restart is immediate, each further one of the window waits longer."""
    if policy.attempts == 0:
        return Escalate(DISABLED, f"{DISABLED}: local recovery is off for this resource")
    recent = len(within(policy, attempts, now))
    if recent >= policy.attempts:
        return Escalate(
            USED_UP,
            f"{USED_UP}: {recent} of {policy.attempts} restarts within {policy.window:g} s",
        )
    delay = policy.backoff * policy.backoff_factor ** (recent - 1) if recent else 0.0
    return Restart(RESTART, recent + 1, min(delay, policy.window))


def within(policy: LocalRecovery, attempts: tuple[float, ...], now: float) -> tuple[float, ...]:
    """The attempts that still count: those of the last `window` seconds."""
    return tuple(at for at in attempts if now - at < policy.window)
