"""The configuration of one place's nats-server, as text. Pure."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import msgspec

from holdfast.config.model import ClusterFile
from holdfast.console.permissions import grant, users
from holdfast.errors import HoldfastError

MAX_PAYLOAD = 512 * 1024
ROUTES_FILE = "routes.conf"


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
        f"host: {quote(here.address)}",
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
        *(line for user in users(cluster) for line in _user(user, public_keys)),
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
    routes = [
        f"    {quote(f'nats-route://route:{token}@{_host(other.address)}:{other.bus.route_port}')}"
        for name, other in cluster.places().items()
        if name != place
    ]
    lines = [
        "cluster {",
        f"  name: {quote(cluster.cluster.name)}",
        f"  host: {quote(here.address)}",
        f"  port: {here.bus.route_port}",
        "  no_advertise: true",
        '  ping_interval: "1s"',
        "  ping_max: 3",
        f"  authorization {{ user: route, password: {quote(token)}, timeout: 2 }}",
        *_tls(tls, "  "),
        "  routes: [",
        *routes,
        "  ]",
        "}",
    ]
    return "\n".join(lines) + "\n"


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


def _user(user: str, public_keys: Mapping[str, str]) -> list[str]:
    if user not in public_keys:
        raise HoldfastError(
            "has no key", place=f"bus user {user}", cure="run `holdfast init` for this cluster file"
        )
    allowed = grant(user)
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
