"""The configuration of one place's nats-server, as text. Pure."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import msgspec

from holdfast.config.model import ClusterFile
from holdfast.console.permissions import grant, users
from holdfast.errors import HoldfastError

MAX_PAYLOAD = 512 * 1024
ROUTES_FILE = "routes.conf"

_ROUTE_PINGS = {
    False: ['  ping_interval: "1s"', "  ping_max: 3"],
    # Where another path may be up, the sooner a route is given up the better. A pool of connections
    # would leave some of them to an address that is lost.
    True: ['  ping_interval: "500ms"', "  ping_max: 2", "  pool_size: -1"],
}
"""Whether there are several networks to what the `cluster` section says of it."""


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of a place's server certificate, its key, and the cluster's CA."""

    ca: str
    certificate: str
    key: str


def render(
    cluster: ClusterFile,
    place: str,
    public_keys: Mapping[str, str],
    *,
    store: str,
    tls: TlsFiles | None = None,
) -> str:
    """The main file. It includes ROUTES_FILE, which lies beside it and holds a secret.

    `public_keys` maps every user of `permissions.users` to its nkey. Raises HoldfastError when one
    is missing, or when a path cannot be written in NATS' syntax.
    """
    here = cluster.places()[place]
    lines = [
        f"server_name: {quote(place)}",
        f"host: {quote(listen_host(cluster, place))}",
        f"port: {here.bus.client_port}",
        f"http: {quote(f'{monitor_host(here.address)}:{here.bus.monitor_port}')}",
        f"max_payload: {MAX_PAYLOAD}",
        "max_connections: 512",
        "max_subscriptions: 1000",
        "max_pending: 16MB",
        'write_deadline: "2s"',
        'ping_interval: "5s"',
        "ping_max: 2",
        "jetstream {",
        f"  store_dir: {quote(store)}",
        # NATS' default acknowledges writes that a loss of power then undoes.
        "  sync_interval: always",
        "  max_memory_store: 64MB",
        "  max_file_store: 4GB",
        "}",
        *_tls(tls, ""),
        f"include {quote(ROUTES_FILE)}",
        "authorization {",
        "  timeout: 2",
        "  users: [",
        *(line for user in users(cluster) for line in _user(cluster, user, public_keys)),
        "  ]",
        "}",
    ]
    return "\n".join(lines) + "\n"


def render_routes(
    cluster: ClusterFile, place: str, token: str, *, tls: TlsFiles | None = None
) -> str:
    """The `cluster` section, for a file of mode 0600: whoever knows `token` is a server.

    The token is needed beside TLS: clients hold certificates of the same CA.
    """
    here = cluster.places()[place]
    routes = []
    for name, other in cluster.places().items():
        if name != place:
            address = _host(other.address_in(_route_network(cluster, place, name)))
            url = f"nats-route://route:{token}@{address}:{other.bus.route_port}"
            routes.append(f"    {quote(url)}")
    lines = [
        "cluster {",
        f"  name: {quote(cluster.cluster.name)}",
        f"  host: {quote(listen_host(cluster, place))}",
        f"  port: {here.bus.route_port}",
        "  no_advertise: true",
        *_ROUTE_PINGS[len(cluster.network_names()) > 1],
        f"  authorization {{ user: route, password: {quote(token)}, timeout: 2 }}",
        *_tls(tls, "  "),
        "  routes: [",
        *routes,
        "  ]",
        "}",
    ]
    return "\n".join(lines) + "\n"


def listen_host(cluster: ClusterFile, place: str) -> str:
    """Where a place's nats-server listens, which takes one address, or all of the machine's."""
    described = cluster.places()[place]
    if len(cluster.network_names()) == 1:
        return described.address
    return "::" if any(":" in address for address in described.all_addresses()) else "0.0.0.0"


def _route_network(cluster: ClusterFile, place: str, other: str) -> str:
    """The network over which a place calls another place's nats-server.

    Two servers keep one connection, whoever made it, and a server redials one address only. So the
    two of a pair call each other over different networks: if one is lost, one of them gets through.
    """
    networks, places = cluster.network_names(), list(cluster.places())
    return networks[0] if places.index(place) < places.index(other) else networks[:2][-1]


def quote(text: str) -> str:
    """A string of NATS' configuration language. Raises HoldfastError for control characters."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise HoldfastError(
            "holds a control character, which nats-server's configuration cannot express",
            place=repr(text),
            cure="use a name, address or path without it",
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _user(cluster: ClusterFile, user: str, public_keys: Mapping[str, str]) -> list[str]:
    if user not in public_keys:
        raise HoldfastError(
            "has no key", place=f"bus user {user}", cure="run `holdfast init` for this cluster file"
        )
    allowed = grant(cluster, user)
    answers = '        allow_responses: { max: 1, expires: "30s" }'
    return [
        f"    # {user}",
        "    {",
        f"      nkey: {quote(public_keys[user])}",
        "      permissions {",
        f"        publish: {_subjects(allowed.publish)}",
        f"        subscribe: {_subjects(allowed.subscribe)}",
        *([answers] if allowed.answers else []),
        "      }",
        "    }",
    ]


def _subjects(allowed: Iterable[str]) -> str:
    """An empty list of allowed subjects would allow everything."""
    quoted = ", ".join(quote(subject) for subject in allowed)
    return f"{{ allow: [{quoted}] }}" if quoted else '{ deny: [">"] }'


def _tls(tls: TlsFiles | None, indent: str) -> list[str]:
    if tls is None:
        return []
    return [
        f"{indent}tls {{",
        f"{indent}  ca_file: {quote(tls.ca)}",
        f"{indent}  cert_file: {quote(tls.certificate)}",
        f"{indent}  key_file: {quote(tls.key)}",
        f"{indent}  verify: true",
        f"{indent}  timeout: 2",
        f"{indent}}}",
    ]


def monitor_host(address: str) -> str:
    """NATS' monitoring has no authentication: it stays on loopback, on the place's own if so."""
    try:
        return _host(address) if ip_address(address).is_loopback else "127.0.0.1"
    except ValueError:
        return "127.0.0.1"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
