"""`python -m holdfast.ledger --listen HOST:PORT --data DIR | --nbd ADDRESS [--epoch N]`"""

import argparse
import contextlib
import signal
import socket
import sys
from pathlib import Path

from holdfast.ledger import address
from holdfast.ledger.errors import LedgerError
from holdfast.ledger.journal import Journal
from holdfast.ledger.server import LedgerServer

_EPILOG = (
    "exit codes: 0 stopped by SIGTERM; 2 wrong arguments; 3 another ledger holds the journal; "
    "4 stale epoch; 5 corrupt journal; 6 storage not usable; 7 cannot listen"
)


def main() -> int:
    """Runs until SIGTERM or SIGINT; returns the exit code."""
    arguments = _parser().parse_args()
    host, port = arguments.listen
    try:
        # The lock comes before the address: whoever answers there holds the journal.
        with (
            _woken_by_signals() as wake,
            contextlib.closing(_journal(arguments)) as journal,
        ):
            server = LedgerServer((host, port), journal)
            sys.stdout.write(
                f"ledger: listening on {server.server_name}:{server.server_port}, "
                f"{len(journal)} entries, epoch {journal.epoch}\n"
            )
            sys.stdout.flush()
            server.serve_until(wake)
    except LedgerError as error:
        sys.stderr.write(f"ledger: {error}\n")
        return error.exit_code
    return 0


def _journal(arguments: argparse.Namespace) -> Journal:
    if arguments.nbd:
        return Journal.open_device(arguments.nbd, arguments.epoch)
    return Journal.open(arguments.data, arguments.epoch)


def _woken_by_signals() -> socket.socket:
    """A socket that becomes readable when the ledger is asked to stop."""
    wake, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return wake


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="holdfast.ledger", epilog=_EPILOG)
    parser.add_argument("--listen", type=_address, required=True, metavar="HOST:PORT")
    where = parser.add_argument_group("where the journal is")
    place = where.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--data", type=Path, metavar="DIR", help="an existing folder for the journal"
    )
    place.add_argument(
        "--nbd",
        type=_device,
        metavar="ADDRESS",
        help="a block device: unix:/PATH?export=NAME or tcp:HOST:PORT?export=NAME",
    )
    parser.add_argument(
        "--epoch", type=_epoch, metavar="N", help="the epoch of this start; default: the journal's"
    )
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _device(text: str) -> address.DeviceAddress:
    try:
        return address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _epoch(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
