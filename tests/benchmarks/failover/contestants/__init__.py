"""Who is measured. A newcomer is one more file, and one more line in the table below."""

from tests.benchmarks.failover.contestant import Maker
from tests.benchmarks.failover.contestants.holdfast import Holdfast
from tests.benchmarks.failover.contestants.keepalived import Keepalived
from tests.benchmarks.failover.contestants.pacemaker import Pacemaker

CONTESTANTS: dict[str, Maker] = {
    "holdfast": Holdfast.fenced,
    "holdfast-lease-only": Holdfast.lease_only,
    "holdfast-fast": Holdfast.fast,
    "pacemaker": Pacemaker,
    "keepalived": Keepalived,
}
"""In the order in which they are measured and shown."""
