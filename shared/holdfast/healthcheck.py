"""`python -m holdfast.healthcheck <service>`: exit 0 while the service lives and has the bus.

The state folder is that of `HOLDFAST_STATE`.
"""

import os
import sys
import time
from pathlib import Path

from holdfast.state_folder import ALIVE

FRESH = 5.0


def is_alive(state: Path, service: str) -> bool:
    """Whether the service touched its file within FRESH seconds."""
    try:
        touched = (state / service / ALIVE).stat().st_mtime
    except OSError:
        return False
    # Both are wall clock; a step of it costs one verdict, not safety.
    return abs(time.time() - touched) < FRESH


def main() -> int:
    """0 alive, 1 not, 2 wrongly called."""
    state = os.environ.get("HOLDFAST_STATE")
    if len(sys.argv) != 2 or not state:
        sys.stderr.write("usage: HOLDFAST_STATE=FOLDER python -m holdfast.healthcheck SERVICE\n")
        return 2
    return 0 if is_alive(Path(state), sys.argv[1]) else 1


if __name__ == "__main__":
    sys.exit(main())
