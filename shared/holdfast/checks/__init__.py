"""Active checks: one question put to a running resource, with a deadline.

The monitor asks them again and again, recovery once after a start: both must mean the same by
"it answers". A check never raises for what it finds: a refused connection is a result.
"""

from holdfast.checks import command, http, tcp
from holdfast.checks.result import CheckResult
from holdfast.config.model import Check, CommandCheck, HttpCheck, TcpCheck

__all__ = ["ActiveCheck", "CheckResult", "kind", "run"]

ActiveCheck = TcpCheck | HttpCheck | CommandCheck
"""Every check but `process`, which is watched and not asked."""


def kind(check: Check) -> str:
    """The check's `kind` in the cluster file."""
    return str(check.__struct_config__.tag)


async def run(check: ActiveCheck) -> CheckResult:
    """Run one check. Returns within its deadline and a second; cancelling leaves nothing behind."""
    match check:
        case TcpCheck():
            return await tcp.run(check)
        case HttpCheck():
            return await http.run(check)
        case CommandCheck():
            return await command.run(check)
