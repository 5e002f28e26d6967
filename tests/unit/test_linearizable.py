"""The checker itself: it finds what it is there for, and nothing else."""

from itertools import permutations
from math import inf
from random import Random

from tests.support.linearizable import Operation, problem


def _write(value: int, began: float, ended: float) -> Operation:
    return Operation(True, value, began, ended)


def _read(value: int, began: float, ended: float) -> Operation:
    return Operation(False, value, began, ended)


def test_one_after_another() -> None:
    assert not problem([_read(0, 0, 1), _write(1, 2, 3), _read(1, 4, 5)])


def test_a_stale_read() -> None:
    assert problem([_write(1, 0, 1), _write(2, 2, 3), _read(1, 4, 5)])


def test_a_lost_write() -> None:
    assert problem([_write(1, 0, 1), _read(0, 2, 3)])


def test_what_was_read_does_not_vanish_again() -> None:
    assert problem([_write(1, 0, inf), _read(1, 1, 2), _read(0, 3, 4)])


def test_a_write_of_unknown_end_may_happen_late_or_never() -> None:
    assert not problem([_write(1, 0, inf), _read(0, 1, 2), _read(1, 3, 4)])
    assert not problem([_write(1, 0, inf), _read(0, 1, 2)])


def test_nothing_is_read_before_it_is_written() -> None:
    assert problem([_read(1, 0, 1), _write(1, 2, 3)])
    assert problem([_read(7, 0, 1)])


def test_it_agrees_with_trying_every_order() -> None:
    random = Random(1)
    verdicts = set()
    for _ in range(1500):
        history = _random_history(random)
        expected = any(_legal(order) for order in permutations(history))
        assert (not problem(history)) == expected, history
        verdicts.add(expected)
    assert verdicts == {True, False}


def _random_history(random: Random) -> list[Operation]:
    times = random.sample(range(100), 10)
    spans = [sorted(times[i : i + 2]) for i in range(0, 10, 2)]
    writes = [_write(number + 1, *spans[number]) for number in range(2)]
    return writes + [_read(random.randrange(3), *span) for span in spans[2:]]


def _legal(order: tuple[Operation, ...]) -> bool:
    held = 0
    for at, operation in enumerate(order):
        if any(later.ended < operation.began for later in order[at + 1 :]):
            return False
        if operation.write:
            held = operation.value
        elif operation.value != held:
            return False
    return True
