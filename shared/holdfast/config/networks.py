"""What can be wrong with the networks of a cluster file. Pure."""

from collections.abc import Iterator
from ipaddress import ip_address

from holdfast.config.model import ClusterFile, Node, Witness
from holdfast.config.problem import Problem, did_you_mean
from holdfast.config.sections import PRIMARY


def problems(cluster: ClusterFile) -> Iterator[Problem]:
    """Networks that nobody declared, places that lack an address, and addresses given twice."""
    if PRIMARY in cluster.networks:
        yield Problem(
            key=f"networks.{PRIMARY}",
            problem=f"`{PRIMARY}` is the network of `address`, and needs no section",
            cure="give the further network another name, for instance `san`",
        )
    taken: dict[tuple[str, int], str] = {}
    for section, places in (("nodes", cluster.nodes), ("witnesses", cluster.witnesses)):
        for name, place in places.items():
            yield from _addresses(cluster, f"{section}.{name}", place)
            if cluster.networks:
                yield from _names(f"{section}.{name}", place)
            yield from _twice(f"{section}.{name}", place, taken)


def _addresses(cluster: ClusterFile, key: str, place: Node | Witness) -> Iterator[Problem]:
    for network in place.addresses:
        if network not in cluster.networks:
            cure = did_you_mean(network, cluster.networks) if cluster.networks else "remove it"
            yield Problem(
                key=f"{key}.addresses.{network}",
                problem=f"there is no network `{network}`",
                cure=f"{cure}; or declare it with `[networks.{network}]`",
            )
    for network in cluster.networks:
        if network not in place.addresses and network != PRIMARY:
            yield Problem(
                key=f"{key}.addresses",
                problem=f"no address in network `{network}`, which joins all places",
                cure=f'add `{network} = "..."` under `[{key}.addresses]`',
            )


def _names(key: str, place: Node | Witness) -> Iterator[Problem]:
    """A service connects from its address in a network, so a name of several addresses won't do."""
    for where, address in _given(key, place).items():
        try:
            ip_address(address)
        except ValueError:
            problem = f"`{address}` is no IP address, which several networks need"
            cure = "write the place's IP address in that network"
            yield Problem(key=where, problem=problem, cure=cure)


def _given(key: str, place: Node | Witness) -> dict[str, str]:
    """Every address of a place, by its key."""
    further = {f"{key}.addresses.{name}": address for name, address in place.addresses.items()}
    return {f"{key}.address": place.address, **further}


def _twice(key: str, place: Node | Witness, taken: dict[tuple[str, int], str]) -> Iterator[Problem]:
    """Two networks with one address are one; what both of two places have, one of them has not."""
    for where, address in _given(key, place).items():
        other = taken.setdefault((address, place.bus.client_port), where)
        if other != where and not (other.endswith(".address") and where.endswith(".address")):
            yield Problem(
                key=where,
                problem=f"{address} is also `{other}`",
                cure="give each place an address of its own in each network",
            )
