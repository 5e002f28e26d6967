"""`python -m holdfast.recovery`."""

from holdfast.recovery.hands import main
from holdfast.service import run

run("recovery", main, before_bus=True)
