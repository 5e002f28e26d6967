"""TLS of a server: the place's certificate, and clients with one of the cluster's."""

import ssl
from pathlib import Path

from holdfast.errors import HoldfastError


class CertificatesUnusable(HoldfastError):
    """The place's certificates cannot be read or do not fit together."""


def server_context(secrets: Path) -> ssl.SSLContext:
    """Mutual TLS with `server.pem`, `server.key` and `ca.pem`. Raises CertificatesUnusable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    load(context, secrets)
    return context


def load(context: ssl.SSLContext, secrets: Path) -> None:
    """Whom it trusts, the cluster's authority, and who it is. Raises CertificatesUnusable."""
    try:
        context.load_verify_locations(cafile=str(secrets / "ca.pem"))
        context.load_cert_chain(secrets / "server.pem", secrets / "server.key")
    except OSError as error:
        raise CertificatesUnusable(
            f"the certificates cannot be used: {error}",
            place=str(secrets),
            cure="`holdfast init` makes ca.pem, server.pem and server.key of a place",
        ) from error
