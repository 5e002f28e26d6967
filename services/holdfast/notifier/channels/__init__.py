"""The ways out, one file each."""

from typing import Protocol

from holdfast.config.model import LogChannel, WebhookChannel
from holdfast.events import Envelope
from holdfast.notifier.channels.failure import SendFailed
from holdfast.notifier.channels.log import Log
from holdfast.notifier.channels.webhook import Webhook

__all__ = ["Channel", "SendFailed", "open_channel"]


class Channel(Protocol):
    """One way out. `attempts` is how often a notification is tried."""

    attempts: int

    async def send(self, envelope: Envelope) -> None:
        """Deliver once, within the channel's own deadline. Raises SendFailed."""
        ...


def open_channel(settings: LogChannel | WebhookChannel) -> Channel:
    """The channel of a `[notifications.channels.<name>]` section."""
    match settings:
        case LogChannel():
            return Log(settings)
        case WebhookChannel():
            return Webhook(settings)
