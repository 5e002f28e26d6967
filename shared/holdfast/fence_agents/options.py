"""What is sent to an agent for one device, checked against the agent's metadata. Pure.

Agents ignore what they do not know, and reboot when no action is named: so every key is checked
before any is sent, and `action` is Holdfast's own.
"""

from collections.abc import Iterator, Mapping

from holdfast.config.model import FenceDevice
from holdfast.config.problem import Problem, did_you_mean
from holdfast.fence_agents.metadata import Agent, Parameter

NEEDED_ACTIONS = ("off", "status")
OWN = ("action", "boot_id", "help", "version")
"""Never taken from the configuration: the first two are the order, with the others none is done."""
_YES, _NO = ("1", "on", "yes", "true"), ("0", "off", "no", "false")
_CHECK_NAME = "agents ignore what they do not know: "


def problems(
    agent: Agent, device: FenceDevice, key: str, secrets: Mapping[str, str] | None
) -> list[Problem]:
    """Everything wrong with a device; none if it can be used. `key` is its path in the file.

    `secrets` are those of its secret file; None if that cannot be read here.
    """
    found = list(_actions(agent, key))
    given: dict[str, str] = {}
    for option, value, where in _given(device, key, secrets or {}):
        name = agent.known_as(option)
        if option in OWN:
            cure = "remove it: what an agent is told to do is up to Holdfast"
            found.append(Problem(key=where, problem=f"`{option}` is not an option", cure=cure))
        elif name is None:
            problem = f"{agent.name} does not know `{option}`"
            cure = _CHECK_NAME + did_you_mean(option, _offered(agent))
            found.append(Problem(key=where, problem=problem, cure=cure))
        elif name in given:
            problem = f"{agent.name} takes it for the same as `{given[name]}`"
            found.append(Problem(key=where, problem=problem, cure="give one of the two"))
        else:
            given[name] = where
            found += _value(agent.parameters[name], value, where)
    if device.secret_file is None or secrets is not None:
        found += _missing(agent, set(given) | set(target(agent, device, "node")), key)
    return found


def order(
    agent: Agent, device: FenceDevice, secrets: Mapping[str, str], node: str, boot: str
) -> dict[str, str]:
    """What to send beside `action`, for a device without problems."""
    options = dict(target(agent, device, node))
    for option, value in {**device.options, **secrets}.items():
        name = agent.known_as(option)
        assert name is not None, "checked by `problems`"
        options[name] = value
    if "boot_id" in agent.parameters:
        options["boot_id"] = boot
    return options


def target(agent: Agent, device: FenceDevice, node: str) -> dict[str, str]:
    """How this agent is told which node is meant.

    `nodename` only in default of a plug: fence_pve takes it for the hypervisor that runs the node.
    """
    name = agent.known_as("plug")
    if name is not None:
        return {name: device.plug or node}
    return {"nodename": node} if "nodename" in agent.parameters else {}


def _given(
    device: FenceDevice, key: str, secrets: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Name, value and place of everything that is configured."""
    if device.plug is not None:
        yield "plug", device.plug, f"{key}.plug"
    for option, value in device.options.items():
        yield option, value, f"{key}.options.{option}"
    for option, value in secrets.items():
        yield option, value, f"{key}.secret_file: {option}"


def _actions(agent: Agent, key: str) -> Iterator[Problem]:
    missing = [action for action in NEEDED_ACTIONS if action not in agent.actions]
    if missing:
        yield Problem(
            key=f"{key}.agent",
            problem=f"{agent.name} has no action {' and no action '.join(missing)}",
            cure="use an agent that switches a node off and can tell that it is off",
        )
    elif agent.unfences:
        yield Problem(
            key=f"{key}.agent",
            problem=f"{agent.name} cuts a node off from its storage or network, not from power",
            cure="use an agent that switches it off: nothing here lets a cut off node in again",
        )


def _missing(agent: Agent, given: set[str], key: str) -> Iterator[Problem]:
    for name, one in agent.parameters.items():
        needed = one.required and not one.deprecated and not one.has_default and name not in OWN
        if needed and name not in given:
            where = f"{key}.plug" if name == agent.known_as("plug") else f"{key}.options.{name}"
            cure = f"add it, or to the secret file; `echo action=metadata | {agent.name}` says what"
            yield Problem(key=where, problem=f"{agent.name} needs `{name}`", cure=cure)


def _value(parameter: Parameter, value: str, where: str) -> Iterator[Problem]:
    said = value.lower()
    cure = ""
    if "\n" in value or "\r" in value:
        cure = "write it on one line: a line is an option to an agent"
    elif parameter.name == "missing_as_off" and said in _YES:
        cure = "remove it: a misspelt plug would then be the proof that a node is off"
    elif parameter.kind == "boolean" and said not in (*_YES, *_NO):
        cure = "give 1 or 0"
    elif parameter.kind in ("integer", "second") and not value.removeprefix("-").isdecimal():
        cure = "give a whole number"
    elif parameter.kind == "select" and parameter.choices and value not in parameter.choices:
        cure = did_you_mean(value, parameter.choices)
    if cure:
        # The value stays out of it: it may be a secret.
        yield Problem(key=where, problem=f"not a value for `{parameter.name}`", cure=cure)


def _offered(agent: Agent) -> list[str]:
    return [n for n, one in agent.parameters.items() if not one.deprecated and n not in OWN]
