"""In which pieces a volume is looked at."""

import msgspec


class Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, powers of two, each a multiple of the next."""

    extent: int = 4 << 20
    """One bit of the activity log."""
    chunk: int = 64 << 10
    """One bit of a dirty map; one record of an undo log."""
    block: int = 4 << 10
    """What is hashed, and sent if the hashes differ."""

    def extents(self, size: int) -> int:
        """How many a volume of that size has."""
        return -(-size // self.extent)

    def chunks(self, size: int) -> int:
        """How many a volume of that size has."""
        return -(-size // self.chunk)
