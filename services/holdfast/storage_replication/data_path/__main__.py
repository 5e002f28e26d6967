"""`python -m holdfast.storage_replication.data_path --volume NAME --file PATH --unix PATH`."""

import asyncio
import logging
import os
import sys

import uvloop

from holdfast.arguments import OneLine
from holdfast.child_log import Bounded
from holdfast.errors import HoldfastError
from holdfast.storage_replication.data_path import member, process
from holdfast.storage_replication.data_path.arguments import parse


def main() -> int:
    """Runs until it is told to stop; returns the exit code."""
    settings = parse()
    handler = Bounded(sys.stderr)
    name = f"data_path@{settings.volume}"
    handler.setFormatter(OneLine(f"%(asctime)s %(levelname)s {name} %(name)s: %(message)s"))
    logging.basicConfig(level=os.environ.get("HOLDFAST_LOG", "INFO"), handlers=[handler])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if settings.member is not None:
                return runner.run(member.serve(settings))
            return runner.run(process.serve(settings))
    except HoldfastError as error:
        sys.stderr.write(f"data_path: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
