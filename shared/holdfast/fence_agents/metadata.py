"""What a fence agent says about itself: its parameters, their old names, its actions. Pure."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from holdfast.fence_agents.errors import FenceError

OLD_NAMES = {
    "ipaddr": "ip",
    "login": "username",
    "passwd": "password",
    "passwd_script": "password_script",
    "port": "plug",
}
"""What agents called their parameters before version 4.1 of the API, and some still do."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `kind` is string, boolean, integer, second or select; `choices` of a select.

    `has_default`: the agent does without it. `deprecated`: the old name of another one.
    """

    name: str
    kind: str
    required: bool
    deprecated: bool
    has_default: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. `renamed` leads from a name it does not use any more to the one it does."""

    name: str
    parameters: dict[str, Parameter]
    renamed: dict[str, str]
    actions: frozenset[str]
    unfences: bool
    """It cuts a node off from storage or network, and expects to be told when to let it back in:
    the node runs on all the while."""

    def known_as(self, option: str) -> str | None:
        """The name under which this agent takes an option that may have been renamed; or None."""
        if option in self.renamed:
            return self.renamed[option]
        names = [option, OLD_NAMES.get(option, ""), _earlier(option)]
        return next((name for name in names if name in self.parameters), None)


def parse(text: str, agent: str) -> Agent:
    """The agent that its metadata describes. Raises FenceError."""
    try:
        tree = ET.fromstring(text)
    except ET.ParseError as error:
        raise FenceError(
            f"its metadata does not parse: {error}",
            place=agent,
            cure=f"is this a fence agent? Try it by hand: echo action=metadata | {agent}",
        ) from error
    parameters = {one.name: one for one in map(_parameter, tree.iter("parameter")) if one.name}
    renamed = {
        old: new.get("name", "")
        for new in tree.iter("parameter")
        if (old := new.get("obsoletes", "")) and new.get("name", "") != old
    }
    actions = list(tree.iter("action"))
    return Agent(
        name=tree.get("name") or agent,
        parameters=parameters,
        renamed=renamed,
        actions=frozenset(action.get("name", "") for action in actions),
        unfences=any(_yes(a, "automatic") or _yes(a, "on_target") for a in actions),
    )


def _parameter(element: ET.Element) -> Parameter:
    content = element.find("content")
    choices = () if content is None else tuple(o.get("value", "") for o in content.iter("option"))
    return Parameter(
        name=element.get("name", ""),
        kind="string" if content is None else content.get("type", "string"),
        required=_yes(element, "required"),
        deprecated=_yes(element, "deprecated"),
        has_default=content is not None and content.get("default") is not None,
        choices=choices,
    )


def _yes(element: ET.Element, attribute: str) -> bool:
    return element.get(attribute) == "1"


def _earlier(option: str) -> str:
    return next((old for old, new in OLD_NAMES.items() if new == option), "")
