"""How a service proves to the bus who it is: its key, and certificates where the bus speaks TLS."""

import ssl
from pathlib import Path

from holdfast.bus import Bus
from holdfast.config import ClusterFile
from holdfast.errors import HoldfastError


class CredentialsMissing(HoldfastError):
    """A key or certificate is not there or not readable."""


def bus_of(cluster: ClusterFile, place: str, service: str, secrets: Path) -> Bus:
    """The bus as `<service>@<place>`, not yet connected: own place's server first, then the others.

    `secrets` is the place's secrets folder. Raises CredentialsMissing.
    """
    places = cluster.places()
    ordered = [place, *(name for name in places if name != place)] if place in places else places
    tls = tls_context(secrets)
    scheme = "tls" if tls else "nats"
    return Bus(
        [
            f"{scheme}://{_host(places[name].address)}:{places[name].bus.client_port}"
            for name in ordered
        ],
        name=f"{service}@{place}",
        inbox=f"_INBOX_{service}_{place}",
        seed=_readable(secrets / f"{service}.nk", "the nkey seed of this service"),
        tls=tls,
    )


def tls_context(secrets: Path) -> ssl.SSLContext | None:
    """Mutual TLS if and only if `ca.pem` is there. Raises CredentialsMissing."""
    authority = secrets / "ca.pem"
    if not authority.exists():
        return None
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    certificate = _readable(secrets / "client.pem", "the client certificate")
    key = _readable(secrets / "client.key", "the client certificate's key")
    context.load_cert_chain(certificate, key)
    return context


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _readable(path: Path, what: str) -> Path:
    try:
        path.open("rb").close()
    except OSError as error:
        raise CredentialsMissing(
            f"cannot read {what}: {error.strerror}",
            place=str(path),
            cure="point --secrets to this place's folder, or create it with `holdfast up`",
        ) from error
    return path
