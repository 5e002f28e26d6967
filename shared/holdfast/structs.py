"""`replace` for structs: a changed copy, its fields' names and types checked like a dataclass's.

msgspec's own takes any keyword for a type checker, and `dataclasses.replace` takes no struct when
it runs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace
else:
    from msgspec.structs import replace

__all__ = ["replace"]
