"""Small events for tests that care about the way, not the content."""

from holdfast import ids
from holdfast.events import Draft
from holdfast.events.system import OperatorRequest


def draft(number: int, *, size: int = 0) -> Draft:
    """An operator's request that carries a number, and `size` bytes more."""
    data = OperatorRequest(operator="test", request=str(number), arguments={"x": "x" * size})
    return Draft(id=ids.uuid7(), data=data, entity="group/test")
