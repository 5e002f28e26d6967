"""Every NATS subject Holdfast uses, in one place (the bus contract, docs/architecture.md).

Each family has exactly one token after its prefix, except commands, which name the node and
the service, and pulses sent over one path, which name the listener's place and the network.
Tokens are names of the cluster file or of events, so `config` refuses names that are not a token.
"""

EVENTS = "ha.events.*"
EVENT_STREAM = "HA_EVENTS"
PULSES = "ha.pulse.*"

OWNERSHIP_BUCKET = "ha_ownership"
VOLUMES_BUCKET = "ha_volumes"


def event(name: str) -> str:
    """The subject of one event type, `ha.events.<name>`."""
    return f"ha.events.{name}"


def pulse(node: str) -> str:
    """Heartbeats of one node, from its monitor and from its hands."""
    return f"ha.pulse.{node}"


def path_pulse(node: str, place: str, network: str) -> str:
    """Heartbeats of one node for the listeners at one place, sent there over one network.

    Only that place's nats-server has listeners, so no route carries it to where it was not sent.
    """
    return f"ha.pulse.{node}.{place}.{network}"


def lease(voter: str) -> str:
    """Where one voter takes lease requests."""
    return f"ha.lease.{voter}"


def command(node: str, service: str) -> str:
    """Where one node's service takes orders."""
    return f"ha.commands.{node}.{service}"


def admin(service: str) -> str:
    """Where operators' requests go; whoever leads answers."""
    return f"ha.admin.{service}"


def storage_admin(node: str) -> str:
    """Where operators' requests to one node's storage service go."""
    return f"ha.admin.storage-{node}"
