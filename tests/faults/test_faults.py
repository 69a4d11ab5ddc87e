"""What was acknowledged is kept, and counted once, whatever happens to the sidecar and to its stores."""

import itertools
from pathlib import Path

import pytest

from tests.faults.campaign import campaign, embedded_campaign
from tests.faults.patience import until_found
from tests.faults.plan import CERTAIN, OF_EMBEDDED_STORES, TARGETS, chosen_seed, embedded_plan, plan, seeded
from tests.faults.telling import Account
from tests.faults.world import Conditions

TIMES = 1
"""How often each fault strikes in each of two campaigns, which go on at the same time if there are workers for both."""

EMBEDDED_TIMES = 1

LEAVE_SECONDS = 30.0
"""Within this a job that has finished leaves the live store, also after faults, which delay that."""


@pytest.mark.parametrize("campaign_number", [0, 1])
async def test_whatever_fails_nothing_acknowledged_is_lost_or_counted_twice(
    tmp_path: Path, account: Account, campaign_number: int
) -> None:
    seed = chosen_seed() + campaign_number
    async with campaign(tmp_path, seed, Conditions(sidecars=2)) as under_way:
        account.parts.append(under_way.report)
        await under_way.run(plan(seeded(seed), TIMES))
    report = under_way.report
    assert not report.violations, str(report)
    assert all(strike.in_flight for strike in report.strikes), str(report)
    wanted = itertools.product(TARGETS, CERTAIN)
    assert all(report.counts[fault] >= TIMES for fault in wanted), str(report)


async def test_with_embedded_stores_nothing_is_lost_while_jobs_leave_are_lost_and_return(
    tmp_path: Path, account: Account
) -> None:
    seed = chosen_seed()
    async with embedded_campaign(tmp_path, seed) as (under_way, place):
        account.parts.append(under_way.report)
        await under_way.run(embedded_plan(seeded(seed), EMBEDDED_TIMES))

        async def have_some_left() -> bool:
            return await place.held() < under_way.report.jobs

        await until_found(have_some_left, LEAVE_SECONDS, lambda: "a finished job has left Valkey")
    report = under_way.report
    assert not report.violations, str(report)
    assert all(strike.in_flight for strike in report.strikes), str(report)
    assert all(report.counts[fault] >= EMBEDDED_TIMES for fault in OF_EMBEDDED_STORES), str(report)
    assert report.told["lost"] > 0, str(report)
    assert report.told["lost"] >= report.told["returned"], str(report)
