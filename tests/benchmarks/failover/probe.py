"""Looking from outside: every 10 ms each address is asked, with a short deadline."""

import contextlib
import threading
from collections.abc import Iterator, Mapping

import msgspec

from holdfast.clock import monotonic
from holdfast.ledger.exchange import ExchangeError, exchange

EVERY = 0.01
ANSWER_WITHIN = 0.2


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The service answered with 200; `instance` tells its processes apart."""

    host: str
    instance: str
    asked: float
    answered: float


class Probe:
    """The first answer of each process of the service, and the latest answer of all.

    `urls`: base URL by the name of who answers there. A thread each, so that an address where
    nobody answers delays no other.
    """

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._changed = threading.Condition()
        self._first: dict[str, Answer] = {}
        self._latest: Answer | None = None
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(host, url), daemon=True)
            for host, url in urls.items()
        ]

    @contextlib.contextmanager
    def looking(self) -> Iterator["Probe"]:
        """Look meanwhile, from the network namespace in which this is called."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            with self._changed:
                self._stop.set()
                self._changed.notify_all()
            for thread in self._threads:
                thread.join()

    def answering(self, timeout: float) -> Answer:
        """Somebody's answer to a question from now on. Raises TimeoutError."""
        now = monotonic()
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._stop.is_set() or (self._latest is not None and self._latest.asked >= now)
                ),
                timeout,
            )
            latest = self._latest
        if latest is None or latest.asked < now:
            raise TimeoutError(f"nobody answered for {timeout:.0f} s")
        return latest

    def next_instance(self, old: Answer, timeout: float) -> Answer:
        """The first answer of another process than the one that gave `old`. Raises TimeoutError."""

        def fresh() -> list[Answer]:
            later = [one for one in self._first.values() if one.answered > old.answered]
            return sorted(later, key=lambda one: one.answered)

        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or fresh(), timeout)
            found = fresh()
        if not found:
            raise TimeoutError(f"nobody answered again within {timeout:.0f} s")
        return found[0]

    def _ask(self, host: str, url: str) -> None:
        while not self._stop.is_set():
            asked = monotonic()
            with contextlib.suppress(ExchangeError):
                status, said = exchange(url, "GET", "/healthz", timeout=ANSWER_WITHIN)
                if status == 200:
                    instance = f"{host} {said['epoch']} {said['pid']}"
                    self._note(
                        Answer(host=host, instance=instance, asked=asked, answered=monotonic())
                    )
            self._stop.wait(max(0.0, asked + EVERY - monotonic()))

    def _note(self, answer: Answer) -> None:
        with self._changed:
            self._first.setdefault(answer.instance, answer)
            self._latest = answer
            self._changed.notify_all()
