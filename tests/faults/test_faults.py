"""What was acknowledged is kept, and counted once, whatever happens to the sidecar and to its stores."""

from pathlib import Path

import pytest

from tests.faults.campaign import campaign, embedded_campaign
from tests.faults.patience import until_found
from tests.faults.plan import CERTAIN, OF_EMBEDDED_STORES, chosen_seed, embedded_plan, plan, seeded
from tests.faults.telling import Account
from tests.faults.world import Conditions

LEAVE_SECONDS = 30.0
"""Within this a job that has finished leaves the live store, also after faults, which delay that."""


@pytest.mark.parametrize("is_paired", [False, True])
async def test_whatever_fails_nothing_acknowledged_is_lost_or_counted_twice(
    tmp_path: Path, account: Account, *, is_paired: bool
) -> None:
    seed = chosen_seed()
    async with campaign(tmp_path, seed, Conditions(sidecars=2)) as under_way:
        account.parts.append(under_way.report)
        await under_way.run(plan(seeded(seed), is_paired=is_paired))
    report = under_way.report
    assert not report.violations, str(report)
    assert all(strike.in_flight for strike in report.strikes), str(report)
    assert all(report.counts[fault] for fault in CERTAIN), str(report)


async def test_with_embedded_stores_nothing_is_lost_while_jobs_leave_are_lost_and_return(
    tmp_path: Path, account: Account
) -> None:
    seed = chosen_seed()
    async with embedded_campaign(tmp_path, seed) as (under_way, place):
        account.parts.append(under_way.report)
        await under_way.run(embedded_plan(seeded(seed)))

        async def have_some_left() -> bool:
            return await place.held() < under_way.report.jobs

        await until_found(have_some_left, LEAVE_SECONDS, lambda: "a finished job has left Valkey")
    report = under_way.report
    assert not report.violations, str(report)
    assert all(strike.in_flight for strike in report.strikes), str(report)
    assert all(report.counts[fault] for fault in OF_EMBEDDED_STORES), str(report)
    assert report.told["lost"] > 0, str(report)
    assert report.told["lost"] >= report.told["returned"], str(report)
