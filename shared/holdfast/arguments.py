"""What a service is told at its start: flags or environment, and where its log goes."""

import argparse
import logging
import os
import sys
from pathlib import Path

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service runs, from its flags or environment."""

    service: str
    config: Path
    place: str
    state: Path
    secrets: Path


def arguments(service: str) -> Settings:
    """From the command line, else HOLDFAST_CONFIG and so on. Exits with 2 when one is missing."""
    parser = argparse.ArgumentParser(prog=f"python -m holdfast.{service}")
    for name, what in (
        ("config", "the cluster file"),
        ("place", "the place this process runs at"),
        ("state", "the place's state folder"),
        ("secrets", "the place's secrets folder"),
    ):
        default = os.environ.get(f"HOLDFAST_{name.upper()}")
        parser.add_argument(f"--{name}", help=what, default=default, required=default is None)
    given = parser.parse_args()
    return Settings(
        service=service,
        config=Path(given.config),
        place=given.place,
        state=Path(given.state),
        secrets=Path(given.secrets),
    )


def log_to_stderr(settings: Settings) -> None:
    """Everything from INFO (or HOLDFAST_LOG) up, one line each."""
    who = f"{settings.service}@{settings.place}"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(f"%(asctime)s %(levelname)s {who} %(name)s: %(message)s"))
    logging.basicConfig(level=os.environ.get("HOLDFAST_LOG", "INFO"), handlers=[handler])


class OneLine(logging.Formatter):
    """One line per record, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        return super().format(record).replace("\n", " | ")
