"""How a channel says that it did not deliver."""


class SendFailed(Exception):
    """Not delivered, or not known to be. `final`: trying again is pointless."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final
