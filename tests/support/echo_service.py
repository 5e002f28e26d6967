"""A service for tests: it listens to pulses, and a pulse with `now` 666 makes it fail."""

from holdfast import wire
from holdfast.service import Runtime, run


async def main(rt: Runtime) -> None:
    """Listen until asked to stop."""

    def hear(pulse: wire.MonitorPulse) -> None:
        if pulse.now == 666:
            raise KeyError("a defect")

    await rt.bus.subscribe("ha.pulse.*", wire.MonitorPulse, hear)
    await rt.stopping.wait()


if __name__ == "__main__":
    run("echo", main)
