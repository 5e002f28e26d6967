"""A cluster in a lab whose ledger is on a volume, replicated over the second network."""

from pathlib import Path

from tests.network.cluster import Fencing, NetworkCluster
from tests.support.lab import SAN, Lab
from tests.support.volume_cluster import VolumeCluster, on_a_volume

REPLICATION = 7790
"""The port of every member."""


class NetworkVolumeCluster(NetworkCluster, VolumeCluster):
    """As NetworkCluster; members are reached on the second network, which takes TLS."""

    tls = True

    def __init__(self, folder: Path, lab: Lab, *, fencing: Fencing, shared: bool = True) -> None:
        super().__init__(folder, lab, fencing=fencing, shared=shared)
        self.journal = f"unix:{folder}/"

    def edited(self, text: str) -> str:
        """With the volume."""
        return on_a_volume(text, self.folder, (REPLICATION, REPLICATION), network=SAN)
