"""Answers a question about the snapshots on standard input; prints one JSON report.

Exit code 0: answered; 2: not, and the report is the error.
"""

import sys

import msgspec

from holdfast.errors import HoldfastError
from holdfast.failover_decider.inputs.codec import unpack
from holdfast.failover_decider.whatif.prediction import predict
from holdfast.wire import SnapshotReply

MAX_INPUT = 16 * 1024 * 1024


def main() -> int:
    """Argument: the question."""
    raw = sys.stdin.buffer.read(MAX_INPUT)
    try:
        replies = msgspec.json.decode(raw, type=list[SnapshotReply])
        prediction = predict(" ".join(sys.argv[1:]), {r.place: unpack(r) for r in replies})
    except HoldfastError as error:
        said = {"error": error.problem, "place": error.place, "cure": error.cure}
        sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
        return 2
    sys.stdout.write(msgspec.json.encode(prediction).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
