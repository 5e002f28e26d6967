"""The service: opens the channels, connects them to the record, and reports what became of it."""

from functools import partial

from holdfast.events import Envelope
from holdfast.events.system import NotificationFailed, NotificationSent
from holdfast.notifier.channels import open_channel
from holdfast.notifier.core import chosen, notable
from holdfast.notifier.delivered import Delivered
from holdfast.notifier.delivery import Delivery
from holdfast.notifier.intake import Intake
from holdfast.service import Runtime


async def main(rt: Runtime) -> None:
    """Notify until asked to stop. Raises UnknownEvents, MemoryLost."""
    settings = rt.cluster.notifications
    names = chosen(settings.events)

    def report(data: NotificationSent | NotificationFailed, about: Envelope) -> None:
        rt.emit(data, entity=about.subject, incident=about.correlationid, cause=about.id)

    deliveries = [
        Delivery(name, open_channel(channel), Delivered(rt.state / f"{name}.delivered"), report)
        for name, channel in settings.channels.items()
    ]
    intake = Intake(rt.bus, deliveries, partial(notable, names=names), rt.rejects.reject)
    for delivery in deliveries:
        rt.spawn(delivery.run(), "delivery")
    rt.spawn(intake.acknowledge(), "acknowledge")
    rt.spawn(intake.keep(), "keep")
    rt.spawn(intake.run(), "intake")
    await rt.stopping.wait()
