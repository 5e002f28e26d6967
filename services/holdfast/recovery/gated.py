"""Our end of a gate: a child that waits to become a program. Made by a thread that may hang."""

import asyncio
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from holdfast.child_log import open_log
from holdfast.recovery import gate, processes
from holdfast.recovery.processes import Process

# With vfork the interpreter stands still, all its threads with it, until the program is executed;
# from storage that hangs, for ever. The thread that must kill when the lease ends cannot allow it.
subprocess._USE_VFORK = False  # type: ignore[misc]


@dataclass(eq=False)
class Gated:
    """A child before its program. Closed without a word it ends, and has executed nothing."""

    popen: subprocess.Popen[bytes]
    process: Process
    _orders: int
    _answers: int

    def go(self, not_after: float) -> None:
        """Execute it, before `not_after` in monotonic seconds. Never waits: the pipe is empty."""
        last = min(not_after * 1e9, gate.NEVER)
        os.write(self._orders, gate.number(max(0, int(last))))

    async def answer(self) -> bytes:
        """What became of the word: nothing (executed, or killed before), LATE, or an errno."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[bytes] = loop.create_future()
        said = b""

        def hear() -> None:
            nonlocal said
            part = os.read(self._answers, 64)
            said += part
            if not part and not over.done():
                over.set_result(said)

        loop.add_reader(self._answers, hear)
        try:
            return await over
        finally:
            loop.remove_reader(self._answers)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._orders)
        os.close(self._answers)


def make(order: bytes, marks: dict[str, str], log: Path) -> Gated:
    """A child that waits for the word, with `marks` as its environment. Raises OSError. Blocks."""
    with ExitStack() as ours, ExitStack() as theirs:
        output = theirs.enter_context(open_log(log))
        hears, orders = os.pipe()
        theirs.callback(os.close, hears)
        ours.callback(os.close, orders)
        answers, says = os.pipe()
        ours.callback(os.close, answers)
        theirs.callback(os.close, says)
        popen = subprocess.Popen(
            [sys.executable, "-I", "-S", gate.__file__, str(hears), str(says)],
            env=marks,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            pass_fds=(hears, says),
        )
        ours.callback(popen.wait)
        ours.callback(popen.kill)
        theirs.close()
        while order:
            order = order[os.write(orders, order) :]
        if os.read(answers, 1) != gate.READY:
            raise OSError("the gate before the program ended")
        made = Gated(popen, processes.identify(popen.pid), orders, answers)
        ours.pop_all()
        return made
