"""pgbench, and a note of every transaction whose COMMIT has returned.

Each client counts its transactions and writes the count with each; pgbench notes a transaction in
its log once the last command, the COMMIT, was answered. So client c's noted ids are 1 to the number
of its lines, at most one more is in doubt, and what is found later must be 1 to one of these two.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path

from tests.postgres.database import BIN, SCALE, Server

CLIENTS = 8
LONGEST = 600
"""Seconds of load, if nobody kills the database."""
ENDS_WITHIN = 60.0

_TRANSACTION = r"""
\set n :n + 1
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)
    VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
INSERT INTO committed VALUES (:round, :client_id, :n);
COMMIT;
"""


class Load:
    """One run of pgbench, outside of every host, until the database goes away."""

    def __init__(self, folder: Path, server: Server, number: int) -> None:
        self._folder, self.number = folder / f"load-{number}", number
        self._folder.mkdir()
        script = self._folder / "transaction.sql"
        script.write_text(_TRANSACTION)
        self._said = self._folder / "said"
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [
                    *(BIN / "pgbench", "--no-vacuum", "--protocol=simple", "--file", script),
                    *("--client", str(CLIENTS), "--time", str(LONGEST)),
                    *("--log", "--log-prefix", self._folder / "noted"),
                    *("--define", f"scale={SCALE}", "--define", f"round={number}"),
                    *("--define", "n=0"),
                ],
                env=server.environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def noted(self) -> Counter[int]:
        """Wait for its end, since the database is gone: ids noted as committed, by client."""
        code = self._process.wait(ENDS_WITHIN)
        said = self._said.read_text()
        assert code == 2, f"pgbench ended with {code}: {said[-2000:]}"
        counts: Counter[int] = Counter()
        for log in self._folder.glob("noted.*"):
            for line in log.read_text().splitlines():
                client, n, _ = line.split(" ", 2)
                counts[int(client)] += 1
                assert counts[int(client)] == int(n), f"a gap in pgbench's own log: {line}"
        processed = re.search(r"transactions actually processed: (\d+)", said)
        assert processed, said
        assert int(processed[1]) == counts.total()
        return counts

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()


class Promises:
    """What must be found, of all rounds, from now on."""

    def __init__(self) -> None:
        self._bounds: dict[tuple[int, int], tuple[int, int]] = {}

    def add(self, number: int, noted: Counter[int]) -> None:
        """A round's noted ids, and of each client one in doubt."""
        for client in range(CLIENTS):
            self._bounds[number, client] = noted[client], noted[client] + 1

    async def lost(self, server: Server) -> int:
        """How many noted transactions are missing. What was found once, is promised from then on.

        Raises AssertionError if there is something that nobody wrote, or a gap.
        """
        rows = await server.ask(
            "select round, client, count(*), max(n) from committed group by round, client"
        )
        found = {(int(one), int(client)): (int(c), int(n)) for one, client, c, n in rows}
        assert found.keys() <= self._bounds.keys(), "rows of a client that never was"
        lost = 0
        for key, (low, high) in self._bounds.items():
            count, last = found.get(key, (0, 0))
            assert last <= high, f"round and client {key}: {last} of {high} that were sent"
            # Ids are unique and positive, so `count` of them up to `last` are all only if equal.
            in_doubt = 1 if last > low else 0
            lost += max(0, low - (count - in_doubt))
            if count == last >= low:
                self._bounds[key] = last, last
        return lost
