"""What operators ask of a volume, done and answered."""

from collections.abc import Awaitable, Callable

from holdfast import clock
from holdfast.config.volumes import size_in_bytes
from holdfast.errors import HoldfastError
from holdfast.events.storage import VolumeCreated
from holdfast.ids import uuid7
from holdfast.storage_replication.control import FallBack, Resize, State, Verify
from holdfast.storage_replication.replicated import membership, transitions
from holdfast.storage_replication.replicated.agent import Agent
from holdfast.storage_replication.replicated.client import Client
from holdfast.storage_replication.replicated.reports import Trail
from holdfast.storage_replication.replicated.transitions import ChangeRefused
from holdfast.volumes import WORD_HOLDS, VolumeRecord
from holdfast.wire.volumes import (
    AcceptLoss,
    ChangeMember,
    CreateVolume,
    FallBackVolume,
    ResizeVolume,
    VerifyVolume,
    VolumeAnswer,
    VolumeRequest,
)

WITHIN = 8.0
"""Seconds for one step."""
FALL_BACK_WITHIN = 30.0
"""Seconds: more than a data path takes to say that it goes on."""
CREATE_WITHIN = 30.0
"""Seconds: a cluster that has just been started may still be making the bucket."""


async def carry_out(agent: Agent, request: VolumeRequest) -> VolumeAnswer:
    """To its end, or to where it goes on by itself. A refusal is an answer, not an exception."""
    work: Callable[[Trail], Awaitable[str]]
    match request:
        case CreateVolume():
            name, work = "create_volume", lambda trail: _create(agent, request, trail)
        case ChangeMember():
            name, work = f"{request.action}_member", lambda trail: _member(agent, request, trail)
        case ResizeVolume():
            name, work = "resize_volume", lambda trail: _resize(agent, trail)
        case VerifyVolume():
            name, work = "verify_volume", lambda _: _verify(agent, request)
        case FallBackVolume():
            name, work = "fall_back_volume", lambda trail: _fall_back(agent, trail)
        case AcceptLoss():
            name, work = "accept_loss", lambda _: _accept_loss(agent, request)
    member = {"member": request.member} if isinstance(request, ChangeMember | VerifyVolume) else {}
    trail = agent.reports.asked(agent.volume, request.operator, name, **member)
    try:
        text = await work(trail)
    except HoldfastError as error:
        return VolumeAnswer(
            ok=False, text=f"{error.problem}; {error.cure}"[:1000], incident=trail.incident
        )
    return VolumeAnswer(ok=True, text=text[:1000], incident=trail.incident)


async def _create(agent: Agent, request: CreateVolume, trail: Trail) -> str:
    place = agent.place
    if problem := place.of_another_record(""):
        raise ChangeRefused(
            problem,
            place=f"volume {agent.volume}",
            cure="if this copy has all, stop storage_replication and its data path here, delete "
            f"{place.folder}, and create it again",
        )
    record = membership.create(
        agent.volume,
        uuid7(),
        size_in_bytes(place.config.size),
        list(place.config.members),
        place.node,
        overwrite=request.overwrite,
    )
    await agent.register.create(record, within=CREATE_WITHIN)
    data = VolumeCreated(
        volume=agent.volume,
        node=place.node,
        epoch=0,
        size=record.size,
        members=list(record.members),
    )
    agent.reports.say(agent.volume, data, trail)
    return f"{record.size} bytes, with the content that {place.node} has"


async def _member(agent: Agent, request: ChangeMember, trail: Trail) -> str:
    state, _, _ = _primary(agent)
    node, member = agent.place.node, request.member
    if request.action == "add":
        if member not in agent.place.hosts:
            raise ChangeRefused(
                f"the cluster file names no member {member}",
                place=f"volume {agent.volume}",
                cure=f"add `[volumes.{agent.volume}.members.{member}]` on every place, and "
                "restart storage_replication",
            )
        await agent.roster.settled(within=WITHIN)  # of an earlier membership nothing is left
        changed = await agent.register.change(
            agent.volume,
            lambda now: membership.add_member(
                now, node, state.epoch, member, overwrite=request.overwrite
            ),
            within=WITHIN,
        )
        agent.reports.set_changed(changed, agent.place.node, "added", member, trail)
        agent.roster.look()
        return f"{member} gets a copy now; `holdfast volume status` shows how far it is"
    changed = await agent.register.change(
        agent.volume,
        lambda now: membership.remove_member(now, node, state.epoch, member),
        within=WITHIN,
    )
    agent.reports.set_changed(changed, agent.place.node, "removed", member, trail)
    await agent.roster.settled(within=WITHIN)
    return f"{member} keeps its data, but is no copy of the volume any more"


async def _resize(agent: Agent, trail: Trail) -> str:
    state, client, record = _primary(agent)
    wanted = size_in_bytes(agent.place.config.size)
    if wanted < record.size:
        raise ChangeRefused(
            f"it has {record.size} bytes, the cluster file says {wanted}",
            place=f"volume {agent.volume}",
            cure="a volume only grows: set `size` to what it has, or more",
        )
    await client.order(lambda n: Resize(id=n, size=wanted), within=WITHIN)
    changed = await agent.register.change(
        agent.volume,
        lambda now: membership.resize(now, agent.place.node, state.epoch, wanted),
        within=WITHIN,
    )
    agent.reports.set_changed(changed, agent.place.node, "resized", agent.place.node, trail)
    return f"it has {wanted} bytes; clients see it when they connect anew"


async def _verify(agent: Agent, request: VerifyVolume) -> str:
    _, client, _ = _primary(agent)
    await client.order(
        lambda n: Verify(id=n, member=request.member, repair=request.repair), within=WITHIN
    )
    return "begun; `holdfast volume status` shows how far it is, `volume_verified` what was found"


async def _fall_back(agent: Agent, trail: Trail) -> str:
    client = agent.paths.client
    state = agent.paths.state
    if client is None or state is None:
        raise _no_data_path(agent)
    if state.connected:
        raise ChangeRefused(
            f"the primary keeps the copy on {agent.place.node} up to date",
            place=f"volume {agent.volume}",
            cure="let its resync end",
        )
    if not (state.resyncing and state.fallback):
        raise ChangeRefused(
            f"the copy on {agent.place.node} "
            + ("has nothing to go back to" if state.resyncing else "is in no resync"),
            place=f"volume {agent.volume}",
            cure="let the resync end; if nobody has the data, restore it from a backup"
            if state.resyncing
            else f"start its group with `--on {agent.place.node} --accept-loss`, if it must be",
        )
    await agent.register.change(
        agent.volume, lambda now: transitions.fall_back(now, agent.place.node), within=WITHIN
    )
    done = await client.order(
        lambda n: FallBack(id=n, epoch=state.epoch, incident=trail.incident, cause=trail.cause),
        within=FALL_BACK_WITHIN,
    )
    if done.warning:
        return "begun; `holdfast volume status` shows how far it is, `volume_fell_back` the end"
    return "the copy is as it was before its resync began"


async def _accept_loss(agent: Agent, request: AcceptLoss) -> str:
    node = agent.place.node
    state = agent.paths.state
    if state is None:
        raise _no_data_path(agent)
    if state.resyncing:
        raise ChangeRefused(
            f"the copy on {node} is between two states",
            place=f"volume {agent.volume}",
            cure=f"`holdfast volume fallback {agent.volume} {node}` first",
        )
    await agent.register.change(
        agent.volume,
        lambda now: transitions.accept_loss(
            now, node, request.operator, request.stated, at=clock.wall_time()
        ),
        within=WITHIN,
    )
    return f"{node} may be promoted within {WORD_HOLDS / 60:g} minutes"


def _primary(agent: Agent) -> tuple[State, Client, VolumeRecord]:
    """Raises ChangeRefused if the volume is not served here."""
    state, client, record = agent.paths.state, agent.paths.client, agent.record
    if state is None or client is None or record is None or state.role != "primary":
        raise ChangeRefused(
            f"the volume is not served on {agent.place.node}",
            place=f"volume {agent.volume}",
            cure="ask the node that runs the group; start the group if none does",
        )
    return state, client, record


def _no_data_path(agent: Agent) -> ChangeRefused:
    return ChangeRefused(
        agent.paths.problem, place=f"volume {agent.volume}", cure=f"see {agent.place.folder}"
    )
