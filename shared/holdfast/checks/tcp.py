"""The tcp check: a connection opens. Nothing is sent."""

import asyncio

from holdfast import clock
from holdfast.checks.result import CheckResult, connection_problem
from holdfast.config.model import TcpCheck


async def run(check: TcpCheck) -> CheckResult:
    """Open a connection and drop it."""
    started = clock.monotonic()
    try:
        async with asyncio.timeout(check.deadline):
            _, writer = await asyncio.open_connection(check.host, check.port)
    except TimeoutError:
        problem = f"{check.host}:{check.port}: no connection within {check.deadline:g} s"
        return CheckResult(ok=False, reason=problem)
    except OSError as error:
        return CheckResult(ok=False, reason=connection_problem(check.host, check.port, error))
    writer.close()
    took = clock.monotonic() - started
    return CheckResult(
        ok=True,
        reason=f"{check.host}:{check.port} accepts connections",
        measurements={"connect_seconds": took},
    )
