"""One seed from beginning to end: a cluster starts, suffers, and must come to rest."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from holdfast.events.ownership import DecisionRefused
from holdfast.failover_decider import core
from holdfast.failover_decider.messages import Emit, Tick
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.structs import replace
from tests.simulation.simulator.decider import DeciderService
from tests.simulation.simulator.engine import Endless
from tests.simulation.simulator.faults import Faults
from tests.simulation.simulator.invariants import sealed
from tests.simulation.simulator.machine import Machine
from tests.simulation.simulator.notifying.scene import notified, tell
from tests.simulation.simulator.seen import done
from tests.simulation.simulator.storage.rest import unserved, untrue
from tests.simulation.simulator.timeline import introduce
from tests.simulation.simulator.unused import unused
from tests.simulation.simulator.violation import Violation
from tests.simulation.simulator.world import World

if TYPE_CHECKING:
    from tests.simulation.simulator.timeline import Tape

TROUBLE = 60.0
"""True seconds with faults."""
REST_WITHIN = 150.0
"""True seconds after the last fault within which every group must stand where it belongs."""
CALM_FOR = 2.0


@dataclass
class Result:
    """What became of a seed."""

    seed: int
    violation: str = ""
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    """What truly happened to the cluster, and what it did about it."""
    steps: int = 0
    events: int = 0
    moves: int = 0
    virtual: float = 0.0
    rest_after: float = 0.0


def run(seed: int, tape: "Tape | None" = None) -> Result:
    """Play one seed. Deterministic: the seed is the whole history."""
    world = World(seed, tape)
    faults = Faults(world)
    faults.plan()
    if tape is not None:
        introduce(world, tape)
    result = Result(seed, faults=faults.counts)
    try:
        world.engine.run_until(TROUBLE)
        world.note("", f"all faults end; groups have {REST_WITHIN:.0f} s to come to rest")
        faults.end()
        result.rest_after = _come_to_rest(world)
        world.invariants.check_record()
        if notified(seed):
            world.seen += tell(seed, map(sealed, world.drafts))
        standing = {group: _standing(world, group) for group in world.file.groups}
        result.outcomes = Counter(how for how, _ in standing.values())
        for group, (how, why) in standing.items():
            world.note("", f"{group} rests: {how}{f' ({why})' if why else ''}")
    except (Violation, Endless) as violation:
        result.violation = str(violation)
        if tape is not None:
            tape.add(world.engine.now, "INVARIANT", str(violation), "fault")
    finally:
        world.volumes.bury()
    result.steps, result.virtual = world.engine.steps, world.engine.now
    result.events = len(world.drafts)
    result.seen = world.seen + done(draft.data for _, draft in world.drafts)
    result.moves = sum(
        isinstance(value, OwnershipRecord) and value.phase == Phase.STARTING
        for value, _ in world.store.log
    )
    return result


def _come_to_rest(world: World) -> float:
    """Seconds until nothing was left to do, and stayed so for a while."""
    ended = world.engine.now
    rested: float | None = None
    restless: list[str] = []
    while world.engine.now - ended < REST_WITHIN:
        world.engine.run_until(world.engine.now + 1.0)
        restless = [group for group in world.file.groups if not _standing(world, group)[0]]
        if any(mark.kind == "maintenance" for mark in world.store.standing[0].marks):
            rested = None  # it must end by itself, and then everything must be well
            continue
        if restless or world.engine.now < world.rests_from:
            rested = None
            continue
        rested = world.engine.now if rested is None else rested
        if world.engine.now - rested >= CALM_FOR:
            return rested - ended
    why = "; ".join(
        f"{group}: {_standing(world, group)[1]}" for group in restless or world.file.groups
    )
    raise Violation("rest", f"{REST_WITHIN:.0f} s after the last fault: {why}")


def _standing(world: World, group: str) -> tuple[str, str]:
    """How a group stands, `active`, `held` or `refused`; or "" and what is missing."""
    record, _ = world.store.current.get(group, (OwnershipRecord(group=group), 0))
    where = [m for m in world.machines.values() if m.of(group)]
    missing = ""
    if record.phase == Phase.ACTIVE:
        resources = world.file.groups[group].resources
        if len(where) == 1 and where[0].place.name == record.owner:
            hands = world.hands(where[0].place.name)
            phase = hands.actors[group].state.phase if hands else "no hands"
            processes = len(resources) - len(world.volumes.of(group))
            whole = phase == "active" and len(where[0].of(group)) == processes
            if whole and not _astray(world, group, record.owner):
                missing = unserved(world, group, record.owner or "")
                if not missing:
                    return "active", f"on {record.owner}"
    running = ", ".join(m.place.name for m in where) or "nobody"
    restless = missing or f"{record.phase} at {record.owner}, {running} runs it"
    held = record.phase == Phase.HELD and record.reason
    for name in world.voters:
        decider = world.decider(name)
        if decider is not None and decider.state.leading:
            refusal = _refused_now(decider, group)
            idle = unused(world, decider.state, record, refusal.rule if refusal else "")
            if idle and (refusal or held):
                said = refusal.reason if refusal else record.reason
                return "", f"{restless}, {idle} may, and stands unused: {said}"
            if refusal is not None and not held:
                if world.volumes.configs and (false := untrue(world, group, refusal.reason)):
                    return "", false
                return "refused", f"{refusal.rule}: {refusal.reason}"
    if held and all(_failed(m, group) for m in where):
        return "held", record.reason
    return "", restless


def _failed(machine: Machine, group: str) -> bool:
    """Whether what runs there is what a stop did not end, and the record says so."""
    return machine.held_for_its_stop(group)


def _refused_now(decider: DeciderService, group: str) -> DecisionRefused | None:
    """What the leader refuses the group now: what it once said may be true no more."""
    view = replace(decider.state.groups[group], refused=("", ""))
    state = replace(decider.state, groups={**decider.state.groups, group: view})
    ids = (f"00000000-0000-7000-9000-{number:012d}" for number in count())
    _, effects = core.decide(state, Tick(), decider.clock(), lambda: next(ids))
    for effect in effects:
        said = effect.draft.data if isinstance(effect, Emit) else None
        if isinstance(said, DecisionRefused) and said.group == group:
            return said
    return None


def _astray(world: World, group: str, owner: str | None) -> str:
    """The group with which it must not, or must, share its node, and does, or does not."""
    policy = world.file.groups[group]
    there = {g for g, (r, _) in world.store.current.items() if r.owner == owner}
    elsewhere = {g for g, (r, _) in world.store.current.items() if r.owner not in (owner, None)}
    wrong = (there & set(policy.apart_from)) | (elsewhere & set(policy.together_with))
    return ", ".join(sorted(wrong))
