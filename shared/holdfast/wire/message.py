"""What every message on the bus that is no event has."""

from typing import Literal

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """`wire` is the version of the messages, refused when it is not ours."""

    wire: Literal[1] = 1
