"""What the documentation states as fact is what the code holds."""

import configparser
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.config.check import problems
from holdfast.config.fit import misfits
from holdfast.config.generate import PAGE, TAGS, reference
from holdfast.config.meanings import MEANINGS
from holdfast.config.model import ClusterFile
from holdfast.timing import PROFILES
from tests.network.page import page
from tests.network.runs import read
from tests.support.documents import DOCS, PAGES, ROOT, blocks

SYSTEMD = DOCS / "examples/systemd"
EXAMPLE = tomllib.loads((DOCS / "examples/cluster.toml").read_text("utf-8"))


def test_the_reference_of_the_cluster_file_is_fresh() -> None:
    assert (DOCS / PAGE).read_text("utf-8") == reference(), "run `make generate`"


def test_every_key_has_a_meaning_and_no_meaning_is_left_over() -> None:
    definitions = msgspec.json.schema(ClusterFile)["$defs"]
    keys = {
        name: set(definition["properties"]) - set(TAGS)
        for name, definition in definitions.items()
        if "properties" in definition
    }
    assert {name: set(texts) for name, texts in MEANINGS.items()} == keys


FRAGMENTS = [(page.name, text) for page in PAGES for text in blocks(page, "toml")]


@pytest.mark.parametrize(("page", "text"), [("examples/cluster.toml", ""), *FRAGMENTS])
def test_cluster_files_and_fragments_are_accepted(page: str, text: str) -> None:
    tree = _merged(EXAMPLE, tomllib.loads(text))
    assert misfits(tree, ClusterFile) == []
    assert problems(msgspec.convert(tree, ClusterFile)) == []


def test_the_example_of_a_database_is_accepted() -> None:
    tree = tomllib.loads((DOCS / "examples/postgresql.toml").read_text("utf-8"))
    assert misfits(tree, ClusterFile) == []
    assert problems(msgspec.convert(tree, ClusterFile)) == []
    parts = {path.name for path in (DOCS / "examples/postgresql").iterdir()}
    named = re.findall(r'"/usr/local/lib/holdfast/(\w+)"', str(tree).replace("'", '"'))
    assert set(named) == parts


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(below[key], above[key])
        for key in below.keys() & above.keys()
        if isinstance(below[key], dict) and isinstance(above[key], dict)
    }
    return {**below, **above, **both}


def test_the_table_of_profiles_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `?([\w ]+)`? \|(.+?)\|(.+?)\|(.+?)\|", _text("tuning.md"), re.MULTILINE)
    table = {name: tuple(map(_number, cells)) for name, *cells in rows}
    profiles = [PROFILES[name] for name in ("fast", "standard", "tolerant")]
    for field in msgspec.structs.fields(PROFILES["fast"]):
        assert table.pop(field.name) == tuple(getattr(one, field.name) for one in profiles)
    stalls = tuple(one.stall for one in profiles)
    assert table.pop("stall that moves nothing") == pytest.approx(stalls)


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def test_names_in_the_failure_guide_exist_in_the_code() -> None:
    code = "\n".join(
        path.read_text("utf-8")
        for part in ("services", "shared")
        for path in (ROOT / part).rglob("*.py")
    )
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", _text("failure-guide.md")))
    assert len(names) > 30
    assert not {name for name in names if not re.search(rf"\b{name}\b", code)}


def test_the_units_start_services_that_exist_and_spare_the_workloads() -> None:
    service = _unit("holdfast@.service")["Service"]
    program = service["ExecStart"].rpartition(" ")[2]
    for name in re.findall(r"holdfast@([a-z_]+)", _text("setup.md")):
        assert find_spec(program.replace("%i", name)), name
    assert service["RestartPreventExitStatus"] == "2"
    beats = (service["Type"], service["WatchdogSec"], service["WatchdogSignal"])
    assert beats == ("notify", f"{PROFILES['standard'].frozen_after:.0f}s", "SIGKILL")
    workloads = _unit("holdfast@recovery.service.d/workloads.conf")["Service"]
    assert workloads["KillMode"] == "process"
    names = re.findall(r"^(HOLDFAST_\w+)=", (SYSTEMD / "place.env").read_text(), re.MULTILINE)
    assert names == [f"HOLDFAST_{name}" for name in ("CONFIG", "PLACE", "STATE", "SECRETS")]


def _unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(SYSTEMD / name)
    return parser


def _text(page: str) -> str:
    return Path(DOCS / page).read_text("utf-8")


def test_the_network_soaks_page_says_what_its_runs_say() -> None:
    assert _text("network-soak.md") == page(read(DOCS / "network-soak.json"))
