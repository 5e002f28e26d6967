"""A cluster whose group can be made to fail at will, and whose workload keeps a record of its own.

To the ledger comes the resource `gate`, of commands: it starts last and stops first. A file makes
its start fail on a node, others its stop and its probe; they are there until they are removed.
"""

from collections.abc import Callable
from pathlib import Path

from tests.support.cluster import HOSTS, RunningCluster
from tests.support.policy_cluster import QUIET

_GATE = """
[groups.ledger.resources.gate]
kind = "command"
after = ["web"]
start = ["/bin/sh", "-c", '{lacks}/broken-{me} && touch {flag} && echo start {who} >> {record}']
stop = ["/bin/sh", "-c", '''{lacks}/stuck-{me} || exit 1
    until {lacks}/slow-{me}; do sleep 0.05; done
    rm -f {flag} && echo stop {who} >> {record}''']
probe = ["/bin/sh", "-c", '''{lacks}/stuck-{me} && {lacks}/slow-{me} || exit 1
    test -e {flag} || exit 7''']
"""
_OFTEN = "max_failures = 100\n"


class FlowCluster(RunningCluster):
    """Nothing is recovered where it failed. `keys`: more of the group's; `fenced` False: the fence
    devices cannot tell anything, and do nothing.
    """

    def __init__(self, folder: Path, *, keys: str = "", fenced: bool = True) -> None:
        self.folder = folder
        self.record = folder / "record"

        def edit(text: str) -> str:
            for host in HOSTS:
                text = text.replace(f"[nodes.{host}]\n", f"[nodes.{host}]\n{_OFTEN}")
            text = text.replace("[groups.ledger]\n", f"[groups.ledger]\n{keys}")
            # As often as a test likes, too.
            text = text.replace('profile = "standard"\n', 'profile = "standard"\nfence_limit = 2\n')
            return text if fenced else _of_nothing(text)

        super().__init__(folder, extra=self._gate() + QUIET, attempts=0, edit=edit)

    def broken(self, node: str) -> Path:
        """While it exists, the group cannot start on that node."""
        return self.folder / f"broken-{node}"

    def stuck(self, node: str) -> Path:
        """While it exists, the group cannot stop on that node, and nobody knows what it does."""
        return self.folder / f"stuck-{node}"

    def slow(self, node: str) -> Path:
        """While it exists, a stop on that node goes on, and nobody knows what the group does."""
        return self.folder / f"slow-{node}"

    def assert_done_once(self) -> None:
        """What the workload itself says: every start is at a higher epoch than the one before, or
        was stopped in between on the same node.
        """
        latest: tuple[str, int] | None = None
        highest = 0
        for line in self.record.read_text().splitlines():
            what, node, epoch = line.split()
            if what == "stop":
                latest = None if latest and latest[0] == node else latest
                continue
            assert int(epoch) >= highest, f"{line}: after epoch {highest}"
            assert latest is None or int(epoch) > latest[1], f"{line}: it ran, as {latest}"
            latest, highest = (node, int(epoch)), int(epoch)

    def _gate(self) -> str:
        me = "$HOLDFAST_NODE"
        return _GATE.format(
            lacks=f"test ! -e {self.folder}",
            me=me,
            flag=f"{self.folder}/gate-{me}",
            who=f"{me} $HOLDFAST_EPOCH",
            record=self.record,
        )


def _of_nothing(text: str) -> str:
    """Fence devices that look where no host is."""
    changed = text.replace('/state/places" }\n', '/nowhere" }\n')
    assert changed != text
    return changed


Made = Callable[[Path], FlowCluster]
"""Makes the cluster of a flow in a folder."""
