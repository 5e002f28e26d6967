"""The primary of a replicated volume, as ordinary clients meet it."""

from pathlib import Path

from holdfast.storage_replication.control import State
from tests.support.data_path import DataPath
from tests.support.replicated import Volume


class Primary(DataPath):
    """A `DataPath` whose every write is on another member, too, before it is acknowledged."""

    def __init__(self, folder: Path, *, size: int) -> None:
        self.volume = Volume(folder, size=size, tcp=True, fresh=True)
        self._node = self.volume.nodes["a"]
        super().__init__(self._node.folder, file=self._node.file)

    def serve(self) -> None:
        """Once both members run: until clients find it, and the members are in step."""
        self.volume.settled()
        self.port = self.volume.until(self._port, "clients are served on TCP")

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._node.pid

    def start(self, *arguments: str) -> None:
        """Again, in its role. Returns when it serves."""
        self.volume.restart("a", *arguments)
        self.port = self.volume.until(self._port, "clients are served on TCP")

    def kill(self) -> None:
        """kill -9, and its end."""
        self._node.end()

    def _port(self) -> int:
        state: State | None = self._node.state
        return state.nbd_port if state is not None else 0
