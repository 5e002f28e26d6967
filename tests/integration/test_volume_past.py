"""A record that went back in time, as one that was restored: it says that copies are in sync that
were taken out of it since."""

from tests.support.volume_agents import VOLUME, WITHIN, Host
from tests.support.waiting import until

MIB = 1 << 20


async def test_a_copy_that_a_record_of_the_past_counts_on_is_compared_whole(
    two: tuple[Host, Host],
) -> None:
    alpha, beta = two
    past = alpha.record
    await beta.end()
    await alpha.counts("alpha")
    await alpha.lead(2)
    alpha.write(3 * MIB, b"acknowledged without beta")
    await alpha.idle()
    assert alpha.disk.read_bytes() != beta.disk.read_bytes()
    await alpha.register.change(VOLUME, lambda _: past, within=WITHIN)
    beta.start()
    await until(beta.agent.paths.ready.is_set, within=WITHIN, what="its data path runs")
    await alpha.lead(3)
    await alpha.counts("alpha", "beta")
    assert beta.disk.read_bytes() == alpha.disk.read_bytes()
