"""What can go wrong on the bus, by what the caller may conclude from it."""

from holdfast.errors import HoldfastError


class BusError(HoldfastError):
    """Root of all bus errors."""


class BusUnavailable(BusError):
    """Not connected, or nobody serves the subject: the message surely had no effect."""


class BusTimeout(BusError):
    """No answer in time, or the connection broke while waiting: it may have had its effect."""


class BadReply(BusError):
    """The answer is not what was asked for. It was counted by `holdfast.rejects`."""


class MessageTooLarge(BusError):
    """A message of ours is larger than `wire.MAX_MESSAGE_BYTES`; it was not sent."""


class Conflict(BusError):
    """A compare-and-set met another revision than the one named; nothing was written."""


class StoreRefused(BusError):
    """JetStream answered with an error; nothing was written. `code` is its err_code."""

    def __init__(self, problem: str, *, place: str, cure: str, code: int) -> None:
        super().__init__(problem, place=place, cure=cure)
        self.code = code
