"""Starting a group on a host whose watchdog has to be armed first."""

from holdfast.recovery.watchdog import NOT_FRESH
from holdfast.wire import OrderReply
from tests.support.hands_host import Host


async def answered(alpha: Host, epoch: int, intent: str) -> OrderReply:
    """The first answer to a start that is not about the age of the lease: that one passes."""
    for _ in range(50):
        reply = await alpha.order("start", epoch, intent)
        if NOT_FRESH not in reply.error:
            return reply
    raise AssertionError(NOT_FRESH)


async def armed_start(alpha: Host, epoch: int, intent: str) -> OrderReply:
    """Start; refused until a renewal is fresh enough for the watchdog."""
    reply = await answered(alpha, epoch, intent)
    assert reply.accepted, reply.error
    return await alpha.done("start", epoch, intent)
