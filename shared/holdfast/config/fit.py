"""Why a value does not fit a type: every reason, each with its exact key path.

msgspec stops at the first error and writes `[...]` for the key of a table. This walks value and
type together and asks msgspec about each part, so its rules stay the only ones.
"""

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from holdfast.config.problem import Problem, did_you_mean
from holdfast.events.fields import Name

_NAME_CURE = "use letters, digits, - and _, at most 64, beginning with a letter or digit"
_CURES = {
    "cluster.voters": "name an odd number of places, at least three: two nodes and a witness do",
    "nodes": "describe at least two nodes, each as `[nodes.<name>]` with its `address`",
}


def misfits(value: Any, kind: Any, key: str = "") -> list[Problem]:
    """Every reason why `value` is not a `kind`; none when it is."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        inner = list(_inside(value, kind, key))
        return inner or [_problem(error, kind, key)]
    return []


def _inside(value: Any, kind: Any, key: str) -> Iterator[Problem]:
    kind = _choose(value, _bare(kind))
    if isinstance(value, dict):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from _in_struct(value, kind, key)
        elif get_origin(kind) is dict:
            name_kind, item_kind = get_args(kind)
            for name, item in value.items():
                yield from misfits(name, name_kind, _join(key, name))
                yield from misfits(item, item_kind, _join(key, name))
    elif isinstance(value, list) and get_origin(kind) is list:
        for index, item in enumerate(value):
            yield from misfits(item, get_args(kind)[0], f"{key}[{index}]")


def _in_struct(value: dict[str, Any], kind: type[msgspec.Struct], key: str) -> Iterator[Problem]:
    hints = get_type_hints(kind, include_extras=True)
    tag_field = kind.__struct_config__.tag_field
    for name, item in value.items():
        if name in hints:
            yield from misfits(item, hints[name], _join(key, name))
        elif name != tag_field:
            cure = did_you_mean(name, hints)
            yield Problem(key=_join(key, name), problem="unknown key", cure=cure)
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in value:
            where = _join(key, field.name)
            cure = _CURES.get(where, f"add `{field.name}`")
            yield Problem(key=where, problem="missing", cure=cure)


def _choose(value: Any, kind: Any) -> Any:
    """The member of a union that the value means: by its tag, else the one that is not None."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    members = [member for member in get_args(kind) if member is not types.NoneType]
    for member in members:
        config = getattr(member, "__struct_config__", None)
        if config and isinstance(value, dict) and value.get(config.tag_field) == config.tag:
            return member
    return _bare(members[0]) if len(members) == 1 else None


def _problem(error: msgspec.ValidationError, kind: Any, key: str) -> Problem:
    text = str(error).partition(" - at ")[0]
    tags, field = _tags(kind), _tag_field(kind)
    if tags and (f"`{field}`" in text or "Invalid value" in text):
        return _wrong_kind(text, tags, field, key)
    if kind == Name:
        return Problem(key=key, problem="not a name", cure=_NAME_CURE)
    choices = _choices(kind)
    if choices and "Invalid enum value" in text:
        wrong = text.removeprefix("Invalid enum value").strip(" '`")
        problem = f"`{wrong}` is not a choice here"
        return Problem(key=key, problem=problem, cure=did_you_mean(wrong, choices))
    return Problem(key=key, problem=_plain(text), cure=_CURES.get(key) or _give(text))


def _wrong_kind(text: str, tags: list[str], field: str, key: str) -> Problem:
    found = re.search(r"Invalid value '(.*)'", text)
    if found is None:
        cure = f"add `{field}`, one of: {', '.join(tags)}"
        return Problem(key=_join(key, field), problem="missing or not text", cure=cure)
    problem = f"there is no {field} `{found[1]}`"
    return Problem(key=_join(key, field), problem=problem, cure=did_you_mean(found[1], tags))


def _plain(text: str) -> str:
    return text[0].lower() + text[1:].replace("`object`", "a table").replace("`array`", "a list")


def _give(text: str) -> str:
    wanted = _plain(text).removeprefix("expected ").partition(", got")[0]
    return f"give {wanted}"


def _tags(kind: Any) -> list[str]:
    return [str(config.tag) for config in _tagged(kind)]


def _tag_field(kind: Any) -> str:
    return next((str(config.tag_field) for config in _tagged(kind)), "")


def _tagged(kind: Any) -> list[Any]:
    kind = _bare(kind)
    members = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    configs = [getattr(member, "__struct_config__", None) for member in members]
    return [config for config in configs if config is not None and config.tag]


def _choices(kind: Any) -> list[str]:
    kind = _bare(kind)
    if hasattr(kind, "__members__"):
        return [str(member.value) for member in kind]
    return [str(choice) for choice in get_args(kind) if isinstance(choice, str)]


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _join(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)
