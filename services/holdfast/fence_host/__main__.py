"""`fence_holdfast_host`, or `python -m holdfast.fence_host`: one order on standard input."""

import os
import sys

from holdfast.fence_host.errors import FenceError
from holdfast.fence_host.host import RECORD, Host, kill, members, read_host
from holdfast.fence_host.metadata import METADATA
from holdfast.fence_host.order import MAX_INPUT_BYTES, Order, parse
from holdfast.fence_host.processes import living_members

DONE = STATUS_ON = 0
FAILED = STATUS_UNKNOWN = 1
STATUS_OFF = 2


def main() -> int:
    """Carries the order out; returns the exit code of the fence-agent API."""
    try:
        return _carry_out(parse(_read_input()))
    except FenceError as error:
        sys.stderr.write(f"fence_holdfast_host: {error}\n")
        return FAILED


def _read_input() -> str:
    if len(sys.argv) > 1:
        raise FenceError(
            "arguments are not supported",
            place="command line",
            cure="send key=value lines on standard input, and no arguments",
        )
    data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        cure = f"send at most {MAX_INPUT_BYTES} bytes"
        raise FenceError("the order is too long", place="standard input", cure=cure)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FenceError(str(error), place="standard input", cure="send UTF-8 text") from error


def _carry_out(order: Order) -> int:
    match order.action:
        case "metadata":
            sys.stdout.write(METADATA)
        case "off":
            _off(order)
        case "status":
            living = members(_host_of(order))
            sys.stdout.write(f"Status: {'ON' if living else 'OFF'}\n")
            return STATUS_ON if living else STATUS_OFF
        case _:
            _check(order)
    return DONE


def _off(order: Order) -> None:
    host = _host_of(order)
    kill(host, order.plug, order.timeout)
    # A launcher may have begun the next boot meanwhile: then "off" no longer describes the plug.
    if read_host(order.run_dir, order.plug) != host:
        raise FenceError(
            f"boot {host.boot_id} is dead, but the host was started again since",
            place=order.plug,
            cure="decide about the new boot on its own",
        )
    sys.stdout.write("Success: Powered OFF\n")


def _check(order: Order) -> None:
    """monitor, list, validate-all: whether orders can be carried out here, and for which hosts."""
    try:
        names = sorted(os.listdir(order.run_dir))
    except OSError as error:
        problem = f"cannot read: {error.strerror}"
        cure = "check that run_dir exists and is readable"
        raise FenceError(problem, place=str(order.run_dir), cure=cure) from error
    living_members(session=0)
    if order.action == "monitor" and order.plug:
        _host_of(order)
    if order.action == "list":
        plugs = (name for name in names if (order.run_dir / name / RECORD).is_file())
        sys.stdout.writelines(f"{plug},\n" for plug in plugs)


def _host_of(order: Order) -> Host:
    """Raises FenceError if the order is meant for another boot than the one that runs."""
    host = read_host(order.run_dir, order.plug)
    if order.boot_id is not None and order.boot_id != host.boot_id:
        raise FenceError(
            f"order is for boot {order.boot_id}, host runs boot {host.boot_id}",
            place=order.plug,
            cure="decide anew: the boot that was meant is gone, and this one was not accused",
        )
    return host


if __name__ == "__main__":
    sys.exit(main())
