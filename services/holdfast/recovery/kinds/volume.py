"""`volume`: the storage service of this node activates and releases it, at the group's epoch."""

import asyncio
from typing import Literal

from holdfast import clock, subjects
from holdfast.bus import Bus, BusError
from holdfast.config.model import VolumeResource
from holdfast.recovery.kinds.base import ActionFailed, Running, Stopped, epoch_instance
from holdfast.recovery.messages import RunAction
from holdfast.recovery.state import ResourceState
from holdfast.wire import Acknowledged, VolumeOrder

LONGEST_REQUEST = 5.0
RETRY_AFTER = 0.2


class VolumeKind:
    """Orders go to this node's own storage service; a refusal is final, silence is not."""

    def __init__(self, config: VolumeResource, *, node: str, boot: str, bus: Bus) -> None:
        self._config, self._node, self._boot, self._bus = config, node, boot, bus

    async def start(self, action: RunAction) -> Running:
        """Activate it."""
        await self._order("activate", action)
        return Running(epoch_instance(action))

    async def stop(self, action: RunAction) -> Stopped:
        """Release it; whether it was active only the storage service's own events say."""
        await self._order("release", action)
        return Stopped(found=action.known.state != "stopped" and bool(action.known.instance))

    def alive(self, known: ResourceState) -> bool:
        """The storage service watches what it activated."""
        return bool(known.instance)

    async def _order(self, action: Literal["activate", "release"], run: RunAction) -> None:
        order = VolumeOrder(
            action=action,
            volume=self._config.volume,
            node=self._node,
            boot=self._boot,
            epoch=run.epoch,
            intent=run.cause,
            incident=run.incident,
            cause=run.cause,
        )
        subject = subjects.command(self._node, "storage_replication")
        deadline = clock.monotonic() + run.timeout
        problem = "there was no time to ask"
        while (left := deadline - clock.monotonic()) > 0:
            try:
                reply = await self._bus.request(
                    subject, order, Acknowledged, timeout=min(left, LONGEST_REQUEST)
                )
            except BusError as error:
                problem = error.problem
                await asyncio.sleep(min(RETRY_AFTER, max(0.0, deadline - clock.monotonic())))
                continue
            if not reply.ok:
                raise ActionFailed(f"volume {self._config.volume}: {reply.error}")
            return
        raise ActionFailed(f"the storage service did not answer: {problem}")
