"""Bugs to plant in the notifier, one at a time."""

from typing import Any
from unittest.mock import patch

from holdfast.notifier import core, delivery, intake
from tests.simulation.planted import Bug
from tests.simulation.simulator.notifying import scene


def acknowledged_before_it_is_told() -> Any:
    """What is handed to a channel counts as done; a notifier that dies takes it along."""
    real = intake.Intake._hand_out

    def hand_out(self: Any, envelope: Any, message: Any) -> None:
        self._settled.put_nowait(message)
        real(self, envelope, message)

    return patch.object(intake.Intake, "_hand_out", hand_out)


def remembered_before_it_is_told() -> Any:
    """An event counts as told once a channel has taken it up."""
    real = delivery.Delivery._deliver

    async def deliver(self: Any, envelope: Any) -> None:
        self._delivered.add(envelope.id)
        await real(self, envelope)

    return patch.object(delivery.Delivery, "_deliver", deliver)


def given_again_is_told_again() -> Any:
    """Nobody looks whether an event was told before."""
    return patch.object(scene.Kept, "__contains__", lambda *_: False)


def held_groups_are_nobodys_business() -> Any:
    """What people must hear of most is not among what is told."""
    return patch.object(core, "NOTABLE", core.NOTABLE - {"group_held"})


def given_up_in_silence() -> Any:
    """A channel that fails for too long is passed over without a word."""
    return patch.object(delivery.Delivery, "_give_up", lambda *_: None)


BUGS: list[Bug] = [
    acknowledged_before_it_is_told,
    remembered_before_it_is_told,
    given_again_is_told_again,
    held_groups_are_nobodys_business,
    given_up_in_silence,
]
