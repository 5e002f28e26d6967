"""The ledger on a synchronous replicated volume: nothing acknowledged is lost with its host."""

import signal
from pathlib import Path

from holdfast.ledger.client import LedgerClient
from tests.support.ledgers import ledger
from tests.support.replicated import MIB, Volume, running
from tests.support.replicated_member import Node

PATIENCE = 30.0


def at(node: Node) -> str:
    return f"unix:{node.nbd}?export=v1"


def test_nothing_acknowledged_is_lost_with_the_primary(tmp_path: Path) -> None:
    """Ledger and data path of one host killed in mid-write; the host returns and catches up."""
    with running(Volume(tmp_path, size=8 * MIB)) as volume:
        volume.settled()
        first, second = volume.nodes["a"], volume.nodes["b"]
        with ledger(at(first), "--epoch", "1") as running_on:
            where = running_on.address
            client = LedgerClient([running_on.url], request_timeout=2.0)
            client.start()
            assert client.wait_acknowledged(10, PATIENCE), "on both"
            first.end()
            running_on.kill()
        volume.fail_over("b")
        with ledger(at(second), "--epoch", "2", listen=where):
            assert client.wait_acknowledged(5, PATIENCE), "on b alone"
            volume.restart("a")
            volume.settled()
            assert client.wait_acknowledged(5, PATIENCE), "on both again"
            report = client.finish()
        assert report.ok, report
        assert volume.record.in_sync == {"a", "b"}
        volume.same()


def test_a_ledger_that_stood_still_meanwhile_overwrites_nothing(tmp_path: Path) -> None:
    """Its host freezes, the volume moves away and comes back: it finds a later owner's record."""
    with running(Volume(tmp_path, size=8 * MIB)) as volume:
        volume.settled()
        old, new = volume.nodes["a"], volume.nodes["b"]
        with ledger(at(old), "--epoch", "1") as first:
            assert first.post("one")[0] == 201
            old.send_signal(signal.SIGSTOP)
            volume.fail_over("b")
            with ledger(at(new), "--epoch", "2") as second:
                assert second.post("two")[1]["index"] == 2
            old.send_signal(signal.SIGCONT)
            volume.settled()
            volume.demote("b")
            volume.promote("a")
            status, answer = first.post("stale")
            assert (status, "another ledger has written here" in str(answer)) == (503, True)
            first.kill()
        with ledger(at(old), "--epoch", "3") as third:
            entries = third.get("/entries")[1]["entries"]
            assert isinstance(entries, list)
            assert [entry["id"] for entry in entries] == ["one", "two"]
