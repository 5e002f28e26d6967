"""The outside observer: writes entries all the time and counts what was promised and not kept.

`python -m holdfast.ledger.client --url URL [--url URL ...] --seconds N | --until-stdin-closes`

With --until-stdin-closes, a line on standard input begins a phase of that name and prints the
phase that ends; an empty line prints how many entries are acknowledged so far.
"""

import argparse
import json
import select
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict

from holdfast.ledger.exchange import ExchangeError, exchange, host_and_port
from holdfast.ledger.report import Outages, Phase, Report, Seen, Verdict, judge

WRITE_INTERVAL_SECONDS = 0.05
RETRY_PAUSE_SECONDS = 0.02
READ_BACK_SECONDS = 15.0
_PAGE = 500


class LedgerClient:
    """Writes one entry after another on a thread of its own, until `finish`.

    A failed write is repeated with the same id, on the next of `urls`, until it is acknowledged.
    `request_timeout` in seconds. Raises ValueError if a URL is not `http://HOST:PORT`.
    """

    def __init__(self, urls: Sequence[str], *, request_timeout: float = 0.5) -> None:
        if not urls:
            raise ValueError("give at least one URL")
        for url in urls:
            host_and_port(url)
        self._urls = [url.rstrip("/") for url in urls]
        self._timeout = request_timeout
        self._prefix = uuid.uuid4().hex[:12]
        self._stop = threading.Event()
        self._lock = threading.Condition()
        self._acknowledged: dict[str, int] = {}
        self._failed = 0
        self._last_error: str | None = None
        self._outages = Outages(time.monotonic(), "start")
        self._thread = threading.Thread(target=self._run, name="ledger-client", daemon=True)

    def start(self) -> None:
        """Begins to write; the first outage counts from here."""
        self._outages = Outages(time.monotonic(), "start")
        self._thread.start()

    def mark(self, label: str) -> Phase:
        """Begins the phase `label` and returns the one that ends, with its longest outage."""
        with self._lock:
            return self._outages.mark(time.monotonic(), label)

    @property
    def acknowledged(self) -> int:
        """How many entries the ledger has promised so far."""
        return len(self._acknowledged)

    @property
    def promises(self) -> dict[str, int]:
        """The index of each acknowledged entry, by its id."""
        with self._lock:
            return dict(self._acknowledged)

    def wait_acknowledged(self, more: int, timeout: float) -> bool:
        """Waits for `more` acknowledgements from now on; False after `timeout` seconds."""
        with self._lock:
            goal = len(self._acknowledged) + more
            return self._lock.wait_for(lambda: len(self._acknowledged) >= goal, timeout)

    def finish(self) -> Report:
        """Stops writing, reads the whole journal back and judges.

        Takes at most one request's timeout and READ_BACK_SECONDS.
        """
        self._stop.set()
        self._thread.join()
        now = time.monotonic()
        with self._lock:
            self._outages.mark(now, "end")
        verdict = self._verdict()
        return Report(
            acknowledged=len(self._acknowledged),
            failed_requests=self._failed,
            seconds=round(self._outages.elapsed(now), 6),
            longest_outage=round(self._outages.longest, 6),
            phases=self._outages.phases,
            verdict=verdict,
            last_error=self._last_error,
        )

    def _run(self) -> None:
        number, turn = 0, 0
        while not self._stop.is_set():
            began = time.monotonic()
            if self._write(self._urls[turn % len(self._urls)], f"{self._prefix}-{number}"):
                number += 1
                self._stop.wait(max(0.0, began + WRITE_INTERVAL_SECONDS - time.monotonic()))
            else:
                turn += 1
                self._stop.wait(RETRY_PAUSE_SECONDS)

    def _write(self, url: str, entry_id: str) -> bool:
        body = {"id": entry_id, "note": "written by the outside observer"}
        try:
            status, answer = exchange(url, "POST", "/entries", body, timeout=self._timeout)
        except ExchangeError as error:
            return self._note_failure(str(error))
        index = answer.get("index")
        if status not in (200, 201) or answer.get("id") != entry_id or not isinstance(index, int):
            return self._note_failure(f"POST {url}/entries: {status} {answer.get('error', '')}")
        with self._lock:
            self._acknowledged[entry_id] = index
            self._outages.acknowledged(time.monotonic())
            self._lock.notify_all()
        return True

    def _note_failure(self, reason: str) -> bool:
        self._failed += 1
        self._last_error = reason
        return False

    def _verdict(self) -> Verdict | None:
        """None, with `_last_error`, if no URL gives the whole journal in time."""
        deadline = time.monotonic() + READ_BACK_SECONDS
        turn = 0
        pause = threading.Event()
        while (left := deadline - time.monotonic()) > 0:
            url = self._urls[turn % len(self._urls)]
            try:
                return judge(self._acknowledged, _read_back(url, deadline))
            except ExchangeError as error:
                self._last_error = str(error)
            turn += 1
            pause.wait(min(left, RETRY_PAUSE_SECONDS))
        return None


def _read_back(url: str, deadline: float) -> list[Seen]:
    """The whole journal of one ledger. Raises ExchangeError."""
    journal: list[Seen] = []
    after: object = 0
    while after is not None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ExchangeError(f"GET {url}/entries: the journal was not read in time")
        path = f"/entries?after={after}&limit={_PAGE}"
        status, answer = exchange(url, "GET", path, timeout=left)
        if status != 200:
            raise ExchangeError(f"GET {url}{path}: {status} {answer.get('error', '')}")
        page, after = _page(answer), answer.get("next")
        if after is not None and (not page or after != page[-1].index):
            raise ExchangeError(f"GET {url}{path}: the next page does not follow this one")
        journal += page
    return journal


def _page(answer: dict[str, object]) -> list[Seen]:
    rows = answer.get("entries")
    page: list[Seen] = []
    for row in rows if isinstance(rows, list) else [None]:
        match row:
            case {"index": int(index), "epoch": int(epoch), "id": str(entry_id)}:
                page.append(Seen(index, epoch, entry_id))
            case _:
                raise ExchangeError("the list of entries is malformed")
    return page


def main() -> int:
    """Observes, prints the report as JSON on the last line; 0 if every promise was kept."""
    arguments = _parser().parse_args()
    try:
        client = LedgerClient(arguments.url)
    except ValueError as error:
        sys.stderr.write(f"ledger client: {error}\n")
        return 2
    client.start()
    if arguments.until_stdin_closes:
        for line in sys.stdin:
            _answer(client, line.strip())
    else:
        select.select([], [], [], arguments.seconds)
    report = client.finish()
    if not arguments.json:
        sys.stdout.write(_summary(report))
    sys.stdout.write(json.dumps(asdict(report) | {"ok": report.ok}) + "\n")
    return 0 if report.ok else 1


def _answer(client: LedgerClient, label: str) -> None:
    """A line on standard input begins a phase of that name; the one that ends is printed."""
    answer = asdict(client.mark(label)) if label else {"acknowledged": client.acknowledged}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _summary(report: Report) -> str:
    verdict = report.verdict
    if verdict is None:
        kept = f"the journal could not be read back: {report.last_error}"
    else:
        kept = f"lost {verdict.lost}, duplicated {verdict.duplicated}, epochs never decreased: "
        kept += "yes" if verdict.epochs_never_decreased else "NO"
    return (
        f"acknowledged {report.acknowledged} in {report.seconds:.1f} s, "
        f"{report.failed_requests} requests failed\n"
        f"longest outage {report.longest_outage:.3f} s\n{kept}\n"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="holdfast.ledger.client")
    parser.add_argument("--url", action="append", required=True, help="http://HOST:PORT")
    how_long = parser.add_mutually_exclusive_group(required=True)
    how_long.add_argument("--seconds", type=_seconds)
    how_long.add_argument("--until-stdin-closes", action="store_true")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError("seconds: more than 0, at most 86400")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
