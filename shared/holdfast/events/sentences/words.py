"""What every sentence is made of, and the register of them: one function per event type."""

from functools import singledispatch

from holdfast.events.registry import EventData


@singledispatch
def say(data: EventData) -> str:
    """The sentence of one event; each module here registers those of its types."""
    raise NotImplementedError(f"no sentence for {type(data).__name__}")


def seconds(value: float) -> str:
    """A duration for people: milliseconds below one second, else two decimals."""
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


def until(lasts: float | None) -> str:
    """How long something lasts that ends by itself; "" for what does not."""
    return "" if lasts is None else f" for {lasts / 60:.0f} min"


def number(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
