"""What clients were told, sector by sector: what must be there, and what may be."""

from dataclasses import dataclass, field

from tests.simulation.volumes.disks import SECTOR


class Violation(Exception):
    """A promise is broken."""


def content(write: int) -> bytes:
    """Of a sector; write 0 is zeroes."""
    return write.to_bytes(8, "big") * (SECTOR // 8)


@dataclass(eq=False)
class Sector:
    """`writes` in the order of issue. Nothing before `floor` may be seen, whoever serves; nothing
    before `durable` either if all memory is lost."""

    writes: list[int] = field(default_factory=lambda: [0])
    floor: int = 0
    durable: int = 0
    busy: bool = False


Place = tuple[Sector, int]
"""One write in a sector's order."""


class History:
    """All sectors of a volume."""

    def __init__(self, sectors: int) -> None:
        self.sectors = [Sector() for _ in range(sectors)]
        self.sizes: dict[int, int] = {0: 0}
        self.acknowledged: set[int] = set()

    def grow(self, sectors: int) -> None:
        """So many in all; new ones are zero."""
        self.sectors += [Sector() for _ in range(sectors - len(self.sectors))]

    def free(self, first: int, last: int) -> bool:
        """Whether no write to these is under way: two at once may end in any order."""
        return not any(self.sectors[index].busy for index in range(first, last + 1))

    def issue(self, write: int, label: int, first: int, last: int) -> list[Place]:
        """A client sends it. Returns its place in every sector's order. `label` is its content."""
        self.sizes[write] = (last - first + 1) * SECTOR
        places: list[Place] = []
        for index in range(first, last + 1):
            sector = self.sectors[index]
            sector.busy = True
            sector.writes.append(label)
            places.append((sector, len(sector.writes) - 1))
        return places

    def ended(self, places: list[Place], acknowledged: bool, durable: bool) -> None:
        """The client has an answer, or knows that there will be none."""
        for sector, place in places:
            sector.busy = False
            if acknowledged:
                self.acknowledged.add(sector.writes[place])
                sector.floor = max(sector.floor, place)
            if acknowledged and durable:
                sector.durable = max(sector.durable, place)

    def floors(self) -> list[int]:
        """What a flush that is sent now makes durable."""
        return [sector.floor for sector in self.sectors]

    def flushed(self, floors: list[int]) -> None:
        """It was acknowledged."""
        for sector, floor in zip(self.sectors, floors, strict=False):
            sector.durable = max(sector.durable, floor)

    def place(self, index: int, found: bytes) -> int | None:
        """The earliest write that may be there and is; None: none of them."""
        sector = self.sectors[index]
        for place in range(sector.floor, len(sector.writes)):
            if content(sector.writes[place]) == found:
                return place
        return None

    def read(self, who: str, first: int, data: bytes) -> None:
        """A client got this: nothing earlier may be seen any more."""
        for number, start in enumerate(range(0, len(data), SECTOR)):
            index = first + number
            found = bytes(data[start : start + SECTOR])
            place = self.place(index, found)
            sector = self.sectors[index]
            if place is None:
                number = int.from_bytes(found[:8], "big")
                known = sector.writes.index(number) if number in sector.writes else None
                raise Violation(
                    f"{who}: sector {index} holds write {number} (place {known}), but place "
                    f"{sector.floor} of {len(sector.writes)} or later was promised"
                )
            sector.floor = place

    def memory_lost(self) -> None:
        """Nobody is left who had it in memory: only what was flushed is promised."""
        for sector in self.sectors:
            sector.floor = sector.durable

    def accept(self, data: bytes, durable: bytes) -> set[int]:
        """An operator accepts what this copy has, and has durably: the acknowledged writes that it
        lacks. It may be smaller: what was behind its end is lost as a whole."""
        lost: set[int] = set()
        size = len(data) // SECTOR
        for sector in self.sectors[size:]:
            lost |= set(sector.writes[: sector.floor + 1]) & self.acknowledged
        del self.sectors[size:]
        for index, sector in enumerate(self.sectors):
            place = self._latest(index, data)
            lost |= set(sector.writes[place + 1 : sector.floor + 1]) & self.acknowledged
            sector.floor = min(place, sector.floor)
            sector.durable = min(self._latest(index, durable), sector.floor)
        self.acknowledged -= lost  # what is given up once is not lost again
        return lost

    def _latest(self, index: int, data: bytes) -> int:
        writes = self.sectors[index].writes
        found = data[index * SECTOR : (index + 1) * SECTOR]
        for place in range(len(writes) - 1, -1, -1):
            if content(writes[place]) == found:
                return place
        raise Violation(f"sector {index} of an accepted copy was never written")
