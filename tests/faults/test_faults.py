"""What was acknowledged is kept, and counted once, whatever happens to the sidecar and to its stores."""

import itertools
from pathlib import Path

from tests.faults.campaign import campaign
from tests.faults.plan import CERTAIN, Target, chosen_seed, plan, seeded
from tests.faults.world import Conditions

TIMES = 2


async def test_whatever_fails_nothing_acknowledged_is_lost_or_counted_twice(tmp_path: Path) -> None:
    seed = chosen_seed()
    async with campaign(tmp_path, seed, Conditions(sidecars=2)) as under_way:
        await under_way.run(plan(seeded(seed), TIMES))
    report = under_way.report
    assert not report.violations, str(report)
    wanted = itertools.product(Target, CERTAIN)
    assert all(report.counts[fault] >= TIMES for fault in wanted), str(report)
