"""What all lines of the control socket have in common."""

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """One line."""


class Order(Message, frozen=True, kw_only=True):
    """Something to be done, answered with `Done` or `Failed`."""

    id: int
