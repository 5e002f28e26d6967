"""Entry point: `python -m holdfast.notifier`."""

from holdfast.notifier.shell import main
from holdfast.service import run

run("notifier", main)
