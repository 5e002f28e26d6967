"""The gate: the process that becomes a program, once it is told to.

Executing a program from storage that hangs takes as long as it hangs, and a child that waits in
there looks like its parent. So the parent executes this first, from its own disk: from then on the
child bears the marks that a stop looks for. It executes nothing that was taken back, or whose
starter is gone (end of file instead of a word), or whose time is over.

A program of its own, run without `site`: the standard library only, and little of it.
"""

import os
import signal
import sys
import time

READY = b"."
"""All that a program needs is here; it waits for the word."""
LATE = b"late"
"""Why nothing was executed: this, or an errno in decimal. End of file: it was."""
NUMBER_BYTES = 8
NEVER = 2**63 - 1
IGNORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""By the interpreter, and by whoever started the hands with `nohup` or in the background."""


def number(value: int) -> bytes:
    """A number as the gate reads it. The word is one: CLOCK_BOOTTIME, ns, to execute before."""
    return value.to_bytes(NUMBER_BYTES, "big")


def order(command: list[str], environment: dict[str, str], directory: str) -> bytes:
    """What to execute, and how. Raises ValueError if it holds a NUL."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    fields = [directory, str(len(command)), *command, *variables]
    if any("\0" in field for field in fields):
        raise ValueError("embedded null byte")
    text = b"\0".join(os.fsencode(field) for field in fields)
    return number(len(text)) + text


def _read(fd: int, size: int) -> bytes:
    got = b""
    while len(got) < size:
        part = os.read(fd, size - len(got))
        if not part:
            sys.exit(1)
        got += part
    return got


def _number(fd: int) -> int:
    return int.from_bytes(_read(fd, NUMBER_BYTES), "big")


def main(orders: int, answers: int) -> None:
    """Read what to become, wait for the word, become it."""
    directory, count, *rest = _read(orders, _number(orders)).split(b"\0")
    command, variables = rest[: int(count)], rest[int(count) :]
    environment = dict(variable.split(b"=", 1) for variable in variables)
    os.write(answers, READY)
    not_after = _number(orders)
    for fd in (orders, answers):
        os.set_inheritable(fd, False)
    # A program would inherit that.
    for ignored in IGNORED:
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.chdir(directory)
        if time.clock_gettime_ns(time.CLOCK_BOOTTIME) >= not_after:
            os.write(answers, LATE)
        else:
            os.execvpe(command[0], command, environment)
    except OSError as error:
        os.write(answers, str(error.errno).encode())
    sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
