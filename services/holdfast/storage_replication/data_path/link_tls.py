"""TLS between members: both sides show their place's `server.pem`, which is named after it."""

import ssl
from pathlib import Path

from holdfast.storage_replication.nbd.tls import load, server_context


class LinkTls:
    """The contexts of both directions. Raises CertificatesUnusable."""

    def __init__(self, secrets: Path) -> None:
        self.accepting = server_context(secrets)
        self.accepting.minimum_version = ssl.TLSVersion.TLSv1_3
        # Only the cluster's authority counts, not those that this machine trusts.
        self.dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.dialling.minimum_version = ssl.TLSVersion.TLSv1_3
        load(self.dialling, secrets)


def link_tls(secrets: Path | None) -> LinkTls | None:
    """As for the bus: if and only if the place has `ca.pem`. Raises CertificatesUnusable."""
    if secrets is None or not (secrets / "ca.pem").exists():
        return None
    return LinkTls(secrets)
