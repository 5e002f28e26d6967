"""Reads a cluster file: bytes, TOML, types, references; every error names file, key and cure."""

from pathlib import Path

import msgspec

from holdfast.config.check import problems, secret_files
from holdfast.config.fit import misfits
from holdfast.config.model import ClusterFile
from holdfast.config.problem import ConfigError, Problem

MAX_BYTES = 1024 * 1024


def load(path: str | Path, *, verify_files: bool = False) -> ClusterFile:
    """The cluster file, checked. Raises ConfigError with every problem found.

    `verify_files` also demands that the secret files it names can be read here; only places that
    fence have them, so a service that does not fence must not ask for it.
    """
    path = Path(path)
    cluster = _typed(path, _read(path))
    found = problems(cluster)
    if verify_files:
        found += _unreadable(cluster)
    if found:
        raise ConfigError(str(path), found)
    return cluster


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        cure = "give the path of a cluster file that this user may read"
        raise ConfigError(str(path), [Problem(key="", problem=problem, cure=cure)]) from error
    if len(raw) > MAX_BYTES:
        problem = f"larger than the {MAX_BYTES} bytes allowed"
        cure = "give a cluster file; a real one is a few kilobytes"
        raise ConfigError(str(path), [Problem(key="", problem=problem, cure=cure)])
    return raw


def _typed(path: Path, raw: bytes) -> ClusterFile:
    try:
        tree = msgspec.toml.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        cure = "correct the TOML at that line"
        raise ConfigError(str(path), [Problem(key="", problem=str(error), cure=cure)]) from error
    found = misfits(tree, ClusterFile)
    if found:
        raise ConfigError(str(path), found)
    return msgspec.convert(tree, ClusterFile)


def _unreadable(cluster: ClusterFile) -> list[Problem]:
    found = []
    for key, file in secret_files(cluster):
        try:
            with Path(file).open("rb"):
                pass
        except OSError as error:
            problem = f"`{file}` cannot be read: {error.strerror}"
            cure = "create it, readable by the user that runs failover_decider and by nobody else"
            found.append(Problem(key=key, problem=problem, cure=cure))
    return found
