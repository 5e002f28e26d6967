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

    The others at every address they have, network by network. `secrets` is the place's secrets
    folder. Raises CredentialsMissing.
    """
    places = cluster.places()
    ordered = [place, *(name for name in places if name != place)] if place in places else places
    servers = [(name, cluster.network_names()[0]) for name in ordered]
    servers += [
        (name, network)
        for network in cluster.network_names()[1:]
        for name in ordered
        if name != place
    ]
    return _bus(cluster, place, service, secrets, servers)


def path_of(
    cluster: ClusterFile, place: str, service: str, secrets: Path, *, to: str, network: str
) -> Bus:
    """A direct connection to one other place's nats-server over one network.

    It leaves from our address in that network. Not yet connected. Raises CredentialsMissing.
    """
    local = cluster.places()[place].address_in(network)
    return _bus(cluster, place, service, secrets, [(to, network)], local)


def _bus(
    cluster: ClusterFile,
    place: str,
    service: str,
    secrets: Path,
    servers: list[tuple[str, str]],
    local: str | None = None,
) -> Bus:
    """`servers`: place and network of each, in the order in which they are tried."""
    tls = tls_context(secrets)
    scheme = "tls" if tls else "nats"
    urls = []
    for name, network in servers:
        described = cluster.places()[name]
        address = _host(described.address_in(network))
        urls.append(f"{scheme}://{address}:{described.bus.client_port}")
    return Bus(
        urls,
        name=f"{service}@{place}",
        inbox=f"_INBOX_{service}_{place}",
        seed=_readable(secrets / f"{service}.nk", "the nkey seed of this service"),
        tls=tls,
        local=local,
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
