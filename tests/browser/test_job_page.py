"""One job's page: what it shows while its worker reports, what people may do there, and how each end looks."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Contexts
from tests.browser.program import Deployment
from tests.browser.troubles import LOST_CONNECTION, Troubles

HOSTILE = "<img src=x onerror='document.title=1'><script>document.title=1</script>"
STAGES = [
    {"name": "reading", "weight": 15, "label": "Reading the data"},
    {"name": "solving", "weight": 60, "label": "Solving clusters"},
    {"name": "saving", "weight": 25, "label": "Saving"},
]
WORKER, READER, OPERATOR = "worker-secret-1234", "reader-secret-1234", "operator-secret-1234"
STRANGER = "stranger-secret-1234"
MOST_GAP = 16
UNKNOWN = "\N{EN DASH}"
RED = "rgb(179, 38, 30)"


@dataclass(frozen=True, slots=True)
class Job:
    """A job of one test: its worker and its page."""

    sidecar: Deployment
    page: Page
    job_id: str
    project: str

    async def push(self, **fields: Any) -> dict[str, Any]:
        """Report as its worker does."""
        return await self.sidecar.push(self.job_id, project=self.project, job_type="planning", **fields)

    async def show(self) -> None:
        """Open its page."""
        await self.page.goto(f"{self.sidecar.url}/jobs/{self.job_id}")

    @property
    def bar(self) -> Locator:
        """The bar of the whole job."""
        return self.page.get_by_role("progressbar", name="Whole job")

    def section(self, title: str) -> Locator:
        """A part of the page, by its title."""
        return self.page.get_by_role("region", name=title, exact=True)


@pytest.fixture
def job(sidecar: Deployment, page: Page, project: str) -> Job:
    """Return a job that nobody has reported of yet."""
    return Job(sidecar, page, f"job-{project}", project)


async def _is_drawn_at(bar: Locator, percent: float) -> None:
    """Wait until the bar is drawn this far: it takes its time."""
    await bar.locator(".fill").evaluate(
        """async (fill, wanted) => {
            const deadline = performance.now() + 8000;
            const drawn = () => 100 * fill.getBoundingClientRect().width / fill.parentElement.clientWidth;
            while (Math.abs(drawn() - wanted) > 0.5) {
                if (performance.now() > deadline) throw new Error(`drawn at ${drawn()} and not ${wanted}`);
                await new Promise(requestAnimationFrame);
            }
        }""",
        percent,
    )


async def test_the_bar_moves_while_a_worker_pushes_and_reaches_100(job: Job) -> None:
    await job.push(current=10, total=100)
    await job.show()
    await expect(job.bar).to_have_attribute("aria-valuenow", "10")
    await _is_drawn_at(job.bar, 10)

    await job.push(current=60)
    await expect(job.bar).to_have_attribute("aria-valuenow", "60")
    await _is_drawn_at(job.bar, 60)
    await expect(job.page.locator(".big-number")).to_have_text("60.0%")

    await job.push(status="completed")
    await expect(job.bar).to_have_attribute("aria-valuenow", "100")
    await _is_drawn_at(job.bar, 100)
    await expect(job.page.locator(".big-number")).to_have_text("100%")


async def test_the_stages_show_how_far_each_is_and_how_long_it_took(job: Job) -> None:
    await job.push(stages=STAGES, stage="reading", current=5, total=10, unit="rows")
    await job.push(stage="solving", current=74, total=216, unit="clusters")
    await job.show()

    stages = job.section("Stages").get_by_role("listitem")
    await expect(stages).to_have_count(3)
    await expect(stages.nth(0)).to_contain_text("Reading the data")
    took = (await job.sidecar.job(job.job_id))["stages"][0]["duration_seconds"]
    assert took is not None
    await expect(stages.nth(0).locator(".stage-word")).to_have_text("done")
    shown = f"{max(took, 0.1):.1f} s" if took < 0.95 else f"{round(took)} s"
    await expect(stages.nth(0).locator(".stage-time")).to_have_text(shown)
    await expect(stages.nth(1)).to_have_attribute("aria-current", "step")
    await expect(stages.nth(1)).to_contain_text("34.2%")
    await expect(stages.nth(2)).to_contain_text("to come")
    stage_bar = job.page.get_by_role("progressbar", name="Stage Solving clusters")
    await expect(stage_bar).to_have_attribute("aria-valuetext", "34.2%, 74 of 216 clusters")


async def test_what_nobody_knows_the_share_of_has_no_value(job: Job) -> None:
    await job.push(current=21, total_growing=True, unit="areas")
    await job.show()

    await expect(job.bar).to_have_attribute("aria-valuetext", "share unknown, running")
    assert await job.bar.get_attribute("aria-valuenow") is None
    await expect(job.page.get_by_text("21 areas")).to_be_visible()

    await job.push(current=50, total=100, total_growing=False)
    await expect(job.bar).to_have_attribute("aria-valuenow", "50")


async def test_a_stage_whose_total_is_unknown_has_no_value_though_the_job_has(job: Job) -> None:
    await job.push(stages=STAGES, stage="solving", current=3, total=None)
    await job.show()

    await expect(job.bar).to_have_attribute("aria-valuenow", "15")
    stage_bar = job.page.get_by_role("progressbar", name="Stage Solving clusters")
    await expect(stage_bar).to_have_attribute("aria-valuetext", "share unknown, 3 so far")
    assert await stage_bar.get_attribute("aria-valuenow") is None


async def test_a_message_that_is_the_name_of_the_stage_is_not_told_twice(job: Job) -> None:
    await job.push(stages=STAGES, stage="reading", current=5, total=10, message="Reading the data")
    await job.show()
    await expect(job.bar).to_be_visible()
    await expect(job.page.locator(".message")).to_be_hidden()

    await job.push(message="half of it")
    await expect(job.page.locator(".message")).to_be_visible()


async def test_what_the_page_says_can_be_copied_while_it_says_the_same(job: Job) -> None:
    await job.page.clock.install()
    await job.push(stages=STAGES, stage="reading", current=5, total=10, message="half of it", items={"rows": 5})
    await job.show()
    await expect(job.section("Timeline").locator("li").first).to_be_visible()
    await job.page.get_by_text("half of it").click(click_count=3)
    await job.page.clock.run_for(3_000)
    assert (await job.page.evaluate("getSelection().toString()")).strip() == "half of it"


async def test_counts_by_kind_are_compared(job: Job) -> None:
    await job.push(items={"issues": 1250, "commits": 50, "errors": 0})
    await job.show()

    counted = job.section("Counted")
    await expect(counted).to_contain_text("1,250")
    await job.push(items={"issues": 2500})
    await expect(counted).to_contain_text("2,500")
    widths = await counted.locator(".item-fill").evaluate_all("(fills) => fills.map((fill) => fill.style.width)")
    assert widths == ["2%", "0%", "100%"]
    await expect(counted.locator(".item", has_text="errors").locator(".item-fill")).to_have_css("width", "0px")


async def test_the_name_of_a_stage_is_not_cut_where_two_lines_hold_it(job: Job) -> None:
    names = ["Analysing dependencies", "Listing files", "Indexing", "Embedding", "Linking", "Writing", "Checking"]
    await job.push(stages=[{"name": name.lower(), "label": name} for name in names], stage="indexing")
    await job.show()
    stages = job.section("Stages").get_by_role("listitem")
    await expect(stages).to_have_count(len(names))
    name = stages.first.locator(".stage-name")
    assert await name.evaluate(
        "(name) => name.scrollHeight <= name.clientHeight && name.scrollWidth <= name.clientWidth"
    )
    words = await stages.locator(".stage-word").evaluate_all(
        "(words) => words.map((word) => word.getBoundingClientRect().top)"
    )
    assert len(set(words)) == 1


async def test_bars_and_dots_are_seen_where_the_reader_has_colours_of_their_own(job: Job) -> None:
    await job.page.emulate_media(forced_colors="active")
    await job.push(stages=STAGES, stage="solving", current=1, total=2, items={"rows": 5})
    await job.show()
    await expect(job.bar).to_be_visible()
    ground = await job.page.locator("main").evaluate(
        "(main) => getComputedStyle(main.querySelector('.card')).backgroundColor"
    )
    for part in (".hero .fill >> nth=0", ".stage[aria-current] .stage-fill", ".item-fill"):
        assert await job.page.locator(part).evaluate("(fill) => getComputedStyle(fill).backgroundColor") != ground
    dot = "(element) => getComputedStyle(element, '::before').backgroundColor"
    assert await job.page.locator(".connection").evaluate(dot) != ground
    await expect(job.page.locator(".stage-track").first).to_have_css("border-top-width", "1px")
    chip = job.section("Timeline").get_by_role("button", name="Created 1")
    pressed = await chip.evaluate("(chip) => getComputedStyle(chip).backgroundColor")
    await chip.click()
    await expect(chip).not_to_have_css("background-color", pressed)


async def test_a_job_that_nobody_has_begun_says_so_once(job: Job) -> None:
    await job.push(status="queued", stages=STAGES)
    await job.show()
    await expect(job.page.locator(".big-number")).to_have_text(UNKNOWN)
    await expect(job.bar).to_have_attribute("aria-valuetext", "queued")
    await expect(job.bar).not_to_have_class(re.compile("indeterminate"))
    await expect(job.page.get_by_text("Nobody has begun it yet.")).to_be_visible()
    gap = await job.page.locator(".parts").evaluate(
        """(parts) => {
            const shown = [...parts.children].filter((part) => part.offsetHeight > 0);
            const edges = shown.map((part) => part.getBoundingClientRect());
            return Math.max(...edges.slice(1).map((edge, index) => edge.top - edges[index].bottom));
        }"""
    )
    assert gap <= MOST_GAP

    await job.page.get_by_role("button", name="Cancel", exact=True).click()
    question = job.page.get_by_role("dialog")
    await expect(question).to_contain_text("Nobody has begun it. Whoever takes it up is asked to stop at once.")
    await expect(question.get_by_role("button", name="Leave it queued")).to_be_visible()
    await expect(question.get_by_role("button", name="Cancel the job")).to_have_css("background-color", RED)
    await job.page.keyboard.press("Escape")

    await job.push(status="running", stage="reading", current=5, total=10)
    await expect(job.page.locator(".big-number")).to_have_text("7.5%")


async def test_the_line_goes_as_far_as_the_job(job: Job) -> None:
    await job.push(current=25, total=100)
    await job.show()
    await job.push(current=50)

    await expect(job.page.get_by_role("img", name="50.0% after")).to_be_visible()
    line = await job.page.locator(".chart-line").get_attribute("d")
    assert line is not None
    assert line.count("L") >= 2


async def test_the_line_is_level_while_nothing_moves(job: Job) -> None:
    await job.push(current=50, total=100)
    await job.show()
    moved = job.page.locator(".hero-fact", has_text="Last progress")
    await expect(moved.locator(".hero-value")).to_have_text(re.compile(r"^[2-9] s ago$"))
    await job.page.request.post(f"{job.sidecar.url}/v1/jobs/{job.job_id}/cancel")
    await expect(job.page.get_by_text("It was asked to stop")).to_be_visible()

    line = await job.page.locator(".chart-line").get_attribute("d")
    heights = {point.split()[-1] for point in (line or "").removeprefix("M ").split(" L ")}
    assert heights == {"83.0"}
    progress_at = datetime.fromisoformat((await job.sidecar.job(job.job_id))["last_progress_at"])
    here = progress_at.astimezone(ZoneInfo("Europe/Berlin"))
    await expect(moved.locator(".hero-note")).to_have_text(f"{here:%H:%M:%S}")


async def test_the_timeline_grows_and_shows_the_types_that_are_wanted(job: Job) -> None:
    await job.push(stages=STAGES, stage="reading", event={"type": "seed_chosen", "details": {"seed": 4}})
    await job.show()
    timeline = job.section("Timeline")
    await expect(timeline.get_by_text("seed: 4")).to_be_visible()

    await job.push(stage="solving")
    lines = timeline.locator("li")
    await expect(lines.first).to_contain_text("Stage started")
    await expect(lines.first).to_contain_text("Solving clusters")

    await timeline.get_by_role("button", name="Stage started 2").click()
    await expect(timeline.locator("li[data-type=stage_started]")).to_have_count(0)
    await expect(timeline.get_by_text("seed: 4")).to_be_visible()
    await timeline.get_by_role("button", name="Stage started 2").click()
    await expect(timeline.locator("li[data-type=stage_started]")).to_have_count(2)


async def test_samples_are_hidden_until_they_are_wanted(job: Job) -> None:
    await job.push(current=1, total=4)
    await job.push(current=2)
    await job.show()
    timeline = job.section("Timeline")
    await expect(timeline.get_by_role("button", name="Progress 1")).to_have_attribute("aria-pressed", "false")
    await expect(timeline.locator("li[data-type=progress]")).to_have_count(0)

    await timeline.get_by_role("button", name="Progress 1").press("Enter")
    await expect(timeline.locator("li[data-type=progress]")).to_contain_text("50.0% · 2 of 4")


async def test_a_long_timeline_is_shown_a_part_at_a_time(job: Job) -> None:
    for number in range(70):
        await job.push(event={"type": "step", "details": {"number": number}})
    await job.show()

    steps = job.section("Timeline").locator("li[data-type=step]")
    await expect(steps).to_have_count(50)
    await expect(steps.first).to_contain_text("number: 69")
    await job.page.get_by_role("button", name="Show older").click()
    await expect(steps).to_have_count(70)
    await expect(job.page.get_by_role("button", name="Show older")).to_be_hidden()


async def test_cancel_asks_first_and_reaches_the_worker_with_its_next_answer(job: Job) -> None:
    await job.push(current=1, total=4)
    await job.show()
    cancel = job.page.get_by_role("button", name="Cancel", exact=True)

    await cancel.click()
    await job.page.get_by_role("button", name="Keep it running").click()
    await expect(job.page.get_by_role("dialog")).to_be_hidden()
    assert (await job.push(current=2))["cancel_requested"] is False

    await cancel.click()
    await job.page.get_by_role("button", name="Cancel the job").click()
    await expect(job.page.get_by_role("button", name="Cancel requested", exact=True)).to_be_disabled()
    await expect(job.page.get_by_text("It was asked to stop")).to_be_visible()
    assert (await job.push(current=3))["cancel_requested"] is True


async def test_pause_and_resume_reach_the_worker_and_can_be_asked_for_by_keyboard(job: Job) -> None:
    await job.push(current=1, total=4)
    await job.show()

    await job.page.get_by_role("button", name="Pause", exact=True).press("Enter")
    await expect(job.page.get_by_role("button", name="Keep it running")).to_be_focused()
    await job.page.keyboard.press("Tab")
    await job.page.keyboard.press("Enter")
    await expect(job.page.get_by_text("It was asked to pause")).to_be_visible()
    assert (await job.push(status="paused"))["pause_requested"] is True
    await expect(job.page.locator(".badge")).to_have_text("Paused")

    await job.page.get_by_role("button", name="Resume", exact=True).click()
    await job.page.get_by_role("button", name="Resume the job").click()
    await expect(
        job.page.get_by_role("button", name="Pause", exact=True).or_(
            job.page.get_by_role("button", name="Resume", exact=True)
        )
    ).to_be_visible()
    assert (await job.push(status="running"))["pause_requested"] is False
    await expect(job.page.get_by_role("button", name="Pause", exact=True)).to_be_visible()


ANNOUNCEMENTS = """() => {
  globalThis.announced = [];
  const live = [...document.querySelectorAll("[aria-live], [role=status], [role=log], [role=alert]")];
  const note = () => globalThis.announced.push(...live.map((each) => each.textContent).filter(Boolean));
  const changes = { childList: true, characterData: true, subtree: true };
  for (const each of live) new MutationObserver(note).observe(each, changes);
}"""


async def test_what_was_asked_for_is_said_and_the_keyboard_goes_on_from_there(job: Job) -> None:
    await job.push(current=1, total=4)
    await job.show()
    await job.page.evaluate(ANNOUNCEMENTS)

    await job.page.get_by_role("button", name="Pause", exact=True).press("Enter")
    await job.page.get_by_role("button", name="Pause the job").press("Enter")
    await expect(job.page.get_by_role("button", name="Resume", exact=True)).to_be_focused()
    await job.page.wait_for_function("announced.includes('Asked to pause')")

    await job.page.get_by_role("button", name="Resume", exact=True).press("Enter")
    await job.page.get_by_role("button", name="Resume the job").press("Enter")
    await expect(job.page.get_by_role("button", name="Pause", exact=True)).to_be_focused()
    await job.page.wait_for_function("announced.includes('Asked to go on')")

    await job.page.get_by_role("button", name="Cancel", exact=True).press("Enter")
    await job.page.get_by_role("button", name="Cancel the job").press("Enter")
    await expect(job.page.get_by_role("group", name="Ask its worker")).to_be_focused()
    await job.page.wait_for_function("announced.includes('Asked to stop')")


async def test_text_of_a_worker_stays_text_everywhere(job: Job) -> None:
    await job.push(
        stages=[{"name": HOSTILE[:60], "label": HOSTILE[:60]}], stage=HOSTILE[:60], current=1, total=3, unit="<i>",
        message=HOSTILE, detail=HOSTILE, items={"<b>bold</b>": 3}, metadata={HOSTILE: HOSTILE}, resume={"at": HOSTILE},
        labels={"label": HOSTILE}, trace_id=HOSTILE, event={"type": "x", "details": {"y": HOSTILE}},
    )  # fmt: skip
    await job.push(status="failed", error={"message": HOSTILE, "type": HOSTILE, "context": HOSTILE, "stack": HOSTILE})
    await job.show()

    await expect(job.section("Timeline").locator("li[data-type=x]")).to_contain_text(HOSTILE)
    await expect(job.page.locator(".error-message")).to_have_text(HOSTILE)
    await expect(job.page.locator(".message")).to_have_text(HOSTILE)
    assert await job.page.locator("main img, main script, main b, main i").count() == 0
    assert "job-" in await job.page.title()


async def test_completed_says_how_long_it_took_and_what_came_of_it(job: Job) -> None:
    await job.push(current=1, total=4)
    await job.show()
    await job.push(items={"clusters": 216}, status="completed", result={"score": 0.97})

    end = job.page.locator(".end")
    await expect(end).to_contain_text("Completed in")
    await expect(end).to_contain_text("216 clusters.")
    await expect(end).to_contain_text('"score": 0.97')
    await expect(job.page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()
    await expect(job.page.locator(".connection")).to_have_text("Ended")
    assert (await job.page.title()).startswith("completed")


async def test_failed_says_so_and_why_first_and_where_a_worker_can_resume(job: Job) -> None:
    await job.push(stages=STAGES, stage="solving", current=74, total=216, resume={"cluster": 74})
    error = {"message": "no room", "type": "NoRoom", "context": {"cluster": 75}, "stack": "at solve.py:12"}
    await job.push(status="failed", error=error)
    await job.show()

    end = job.page.locator(".end")
    await expect(end.locator("> :nth-child(1)")).to_have_text(re.compile("^Failed after .* at 35.5%$"))
    await expect(end.locator("> :nth-child(2) > :first-child")).to_have_text("no room")
    await expect(end.locator(".error-type")).to_have_text("NoRoom")
    await expect(end.get_by_role("region", name="Context")).to_have_text('{\n  "cluster": 75\n}')
    await expect(end).to_contain_text("at 35.5%")
    await expect(end).to_contain_text("A worker can resume from here")
    await expect(end.get_by_text('"cluster": 74')).to_be_visible()
    await expect(end.get_by_text("at solve.py:12")).to_be_hidden()
    await end.get_by_text("Stack").click()
    await expect(end.get_by_text("at solve.py:12")).to_be_visible()


async def test_cancelled_says_how_far_it_came(job: Job) -> None:
    await job.push(current=3, total=4)
    await job.push(status="cancelled")
    await job.show()

    await expect(job.page.locator(".end")).to_contain_text("at 75.0%")
    await expect(job.page.locator(".end")).to_contain_text("Cancelled after")


async def test_no_share_is_made_up_for_one_that_ended_before_anything_was_known(job: Job) -> None:
    await job.push(current=21, unit="areas")
    await job.push(status="failed", error={"message": "no room"})
    await job.show()

    await expect(job.page.locator("#end-title")).to_have_text(re.compile(r"^Failed after [^%]+$"))


async def test_a_blocked_job_says_what_it_waits_for(job: Job) -> None:
    await job.push(status="blocked", blocked_on="a new credential")
    await job.show()

    await expect(job.page.locator(".notice:visible")).to_have_text("It waits for a new credential.")


async def test_attempts_are_listed_once_there_are_two(job: Job) -> None:
    await job.push(current=1, total=4)
    await job.push(status="failed", error={"message": "no room"})
    await job.push(attempt=2, current=1, total=2)
    await job.show()

    rows = job.section("Attempts").locator("tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.nth(0)).to_contain_text("50.0%")
    await expect(rows.nth(1)).to_contain_text("no room")
    await expect(job.page.locator(".scope")).to_contain_text("attempt 2")


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_another_attempt_of_a_finished_job_is_noticed(job: Job, status: str) -> None:
    await job.page.clock.install()
    await job.push(current=3, total=4)
    await job.push(status=status)
    await job.show()
    await expect(job.page.locator(".end")).to_be_visible()
    await expect(job.page.locator(".connection")).to_have_text("Ended")

    await job.push(attempt=2, current=1, total=4)
    await job.page.clock.fast_forward(16_000)
    await expect(job.bar).to_have_attribute("aria-valuenow", "25")
    await expect(job.page.locator(".end")).to_be_hidden()
    await expect(job.page.locator(".connection")).to_have_text("Live")
    await expect(job.section("Attempts").locator("tbody tr")).to_have_count(2)


async def test_the_time_that_is_left_is_told_with_its_range_and_is_not_made_up(job: Job) -> None:
    await job.push(current=1, total=1000)
    await job.show()
    left = job.page.locator(".hero-fact").first
    await expect(left).to_contain_text("not known yet")

    for current in range(2, 12):
        await job.push(current=current)
    assert (await job.sidecar.job(job.job_id))["eta"] is not None
    await expect(left.locator(".hero-value")).to_have_text(re.compile(r"^about \d"))
    await expect(left.locator(".hero-note")).to_have_text(re.compile(r"\d+ s to \d+"))


async def test_the_rate_is_told_in_the_unit_of_the_job(job: Job) -> None:
    await job.push(current=1, total=1000, unit="rows")
    await job.show()
    rate = job.page.locator(".hero-fact", has_text="Rate")
    await expect(rate).to_be_hidden()

    for current in range(2, 12):
        await job.push(current=current)
    assert (await job.sidecar.job(job.job_id))["rate_per_second"] > 0
    await expect(rate).to_be_visible()
    await expect(rate.locator(".hero-value")).to_have_text(re.compile(r"^\d[\d,.]* rows/s$"))


async def test_what_the_worker_said_beside_is_shown_and_where_it_can_resume_is_there_to_unfold(job: Job) -> None:
    await job.push(current=1, total=4, metadata={"seed": 4}, detail="two of them twice", resume={"cluster": 74})
    await job.show()
    details = job.section("Details")

    await expect(details.get_by_role("region", name="Metadata")).to_be_visible()
    await expect(details.get_by_role("region", name="Metadata")).to_have_text('{\n  "seed": 4\n}')
    await expect(details.get_by_text("two of them twice")).to_be_visible()
    await expect(details.get_by_text('"cluster": 74')).to_be_hidden()
    await details.get_by_text("Where to resume").click()
    await expect(details.get_by_text('"cluster": 74')).to_be_visible()
    await job.push(metadata={"seed": 5})
    await expect(details.get_by_role("region", name="Metadata")).to_have_text('{\n  "seed": 5\n}')
    await expect(details.get_by_text('"cluster": 74')).to_be_visible()


async def test_beside_a_stream_that_brings_nothing_the_job_is_asked_for_and_the_page_says_so(job: Job) -> None:
    await job.page.clock.install()
    await job.push(current=1, total=4)
    await job.show()
    await expect(job.page.locator(".connection")).to_have_text("Live")

    await job.page.clock.fast_forward(31_000)
    await expect(job.page.locator(".connection")).to_have_text("Polling", timeout=15_000)  # the question waits 5 s
    await job.push(current=2)
    await expect(job.bar).to_have_attribute("aria-valuenow", "50")
    await expect(job.page.locator(".connection")).to_have_text("Live")


async def test_a_page_says_when_sql_serves(
    own_sidecar: Deployment, page: Page, project: str, troubles: Troubles
) -> None:
    troubles.expect("503")  # what is read while the change is noticed
    job = Job(own_sidecar, page, "a", project)
    await job.push(current=1, total=4)
    await job.show()
    await expect(page.locator(".connection")).to_have_text("Live")
    own_sidecar.kill_valkey()
    await expect(page.get_by_text("SQL serves")).to_be_visible(timeout=15_000)
    await expect(page.get_by_text("SQL serves")).to_be_hidden(timeout=15_000)


async def test_a_screen_reader_is_told_of_stages_and_the_end_and_of_nothing_else(job: Job) -> None:
    await job.push(stages=STAGES, stage="reading", current=1, total=10)
    await job.show()
    await expect(job.bar).to_have_attribute("aria-valuenow", "1.5")
    told = job.page.get_by_role("status")

    await job.push(current=5, message="half of it")
    await expect(job.bar).to_have_attribute("aria-valuenow", "7.5")
    await expect(told).to_have_text("")
    await job.push(stage="solving")
    await expect(told).to_have_text("Stage Solving clusters")
    await job.push(status="completed")
    await expect(told).to_contain_text("Completed in")


async def test_times_are_in_the_zone_of_the_reader(job: Job) -> None:
    await job.push(current=1, total=4)
    await job.show()

    started = (await job.sidecar.job(job.job_id))["started_at"]
    here = datetime.fromisoformat(started).astimezone(ZoneInfo("Europe/Berlin"))
    await expect(job.page.locator(".hero-facts")).to_contain_text(f"since {here:%H:%M:%S}")


async def test_a_job_that_nobody_knows_is_waited_for(job: Job) -> None:
    await job.show()
    await expect(job.page.get_by_role("heading", level=1)).to_have_text(f"Looking for {job.job_id}")

    await job.push(current=1, total=4)
    await expect(job.bar).to_have_attribute("aria-valuenow", "25")


async def test_a_job_that_is_deleted_is_said_to_be(job: Job) -> None:
    await job.push(current=1, total=4)
    await job.show()
    await expect(job.bar).to_have_attribute("aria-valuenow", "25")

    await job.page.request.delete(f"{job.sidecar.url}/v1/jobs/{job.job_id}?force=true")
    await expect(job.page.get_by_role("alert")).to_contain_text("This job was deleted")


async def test_the_page_tells_how_it_is_connected(
    own_sidecar: Deployment, page: Page, project: str, troubles: Troubles
) -> None:
    troubles.expect(LOST_CONNECTION)
    job = Job(own_sidecar, page, "a", project)
    await job.push(current=1, total=4)
    await job.show()
    await expect(page.locator(".connection")).to_have_text("Live")

    own_sidecar.kill()
    await expect(page.locator(".connection")).to_have_text("Reconnecting")
    away = page.get_by_text("The sidecar has not been reached since")
    await expect(away).to_be_visible()
    for name in ("Pause", "Cancel"):
        await expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    await own_sidecar.up()
    await job.push(current=2)
    await expect(job.bar).to_have_attribute("aria-valuenow", "50", timeout=40_000)
    await expect(page.locator(".connection")).to_have_text("Live", timeout=40_000)
    await expect(away).to_be_hidden()
    await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_enabled()


async def test_nothing_serious_keeps_anyone_from_reading_it(sidecar: Deployment, any_page: Page, project: str) -> None:
    job = Job(sidecar, any_page, f"job-{project}", project)
    await job.push(
        stages=STAGES, stage="solving", current=74, total=216, unit="clusters", message="cluster 74 of 216",
        items={"clusters": 74}, metadata={"seed": 4, "long": "x" * 300}, parent_id="night", trace_id="4bf92f3577b34da6",
        event={"type": "restarted", "details": {"why": "y" * 400}}, labels={"term": "spring"}, resume={"cluster": 70},
    )  # fmt: skip
    await job.show()
    await expect(job.section("Timeline").locator("li").first).to_be_visible()
    await assert_accessible(any_page)
    await any_page.get_by_role("button", name="Cancel", exact=True).click()
    await assert_accessible(any_page)
    await any_page.keyboard.press("Escape")

    await job.push(status="failed", error={"message": "no room", "context": {"x": 1}, "stack": "z" * 500})
    await expect(any_page.locator(".error-message")).to_be_visible()
    await job.push(attempt=2, status="failed", error={"message": "no room again"})
    await any_page.reload()
    await expect(job.section("Attempts")).to_be_visible()
    await assert_accessible(any_page)
    assert await any_page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Deployment]:
    """Return a sidecar that wants tokens."""
    tokens = f"worker:*:{WORKER};reader:*:{READER};operator:*:{OPERATOR};reader:elsewhere:{STRANGER}"
    deployment = await Deployment(tmp_path / "home", tokens=tokens).up()
    yield deployment
    await contexts.close()
    deployment.kill()


async def test_who_may_only_read_is_asked_for_an_operators_token(
    guarded: Deployment, page: Page, troubles: Troubles
) -> None:
    troubles.expect("status of 403")
    worker = {"Authorization": f"Bearer {WORKER}"}
    url = f"{guarded.url}/v1/jobs/a"
    await page.request.post(url, headers=worker, data={"current": 1, "total": 4})

    await page.goto(f"{guarded.url}/jobs/a")
    await page.get_by_role("textbox", name="Token").fill(READER)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("progressbar", name="Whole job")).to_have_attribute("aria-valuenow", "25")

    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("button", name="Cancel the job").click()
    await page.get_by_role("textbox", name="Token").fill(OPERATOR)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Cancel requested")).to_be_visible()
    answer = await page.request.post(url, headers=worker, data={"current": 2})
    assert (await answer.json())["cancel_requested"] is True


async def test_who_was_handed_a_link_sees_the_whole_page_and_may_ask_for_nothing(tmp_path: Path, page: Page) -> None:
    admin = {"Authorization": "Bearer an-admin-secret-1"}
    sidecar = await Deployment(tmp_path / "home", tokens="admin:*:an-admin-secret-1").up()
    job = f"{sidecar.url}/v1/jobs/a"
    await page.request.post(
        job, headers=admin, data={"current": 1, "total": 4, "parent_id": "night", "event": {"type": "cleaned"}}
    )
    made = await (await page.request.post(f"{job}/links", headers=admin)).json()

    await page.goto(f"{sidecar.url}{made['url']}")
    bar = page.get_by_role("progressbar", name="Whole job")
    await expect(bar).to_have_attribute("aria-valuenow", "25")
    await page.request.post(job, headers=admin, data={"current": 2})
    await expect(bar).to_have_attribute("aria-valuenow", "50")
    await expect(page.get_by_text("cleaned", exact=True).first).to_be_visible()
    await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()
    await expect(page.get_by_role("textbox", name="Token")).to_have_count(0)
    await expect(page.get_by_role("link")).to_have_count(0)  # to where a token would be asked for
    await expect(page.locator(".brand")).to_have_text("Progress")
    await page.goto("about:blank")
    sidecar.kill()


async def test_a_job_that_one_may_not_see_is_no_other_than_one_that_never_comes(
    guarded: Deployment, page: Page, troubles: Troubles
) -> None:
    troubles.expect("status of 404")
    url = f"{guarded.url}/v1/jobs/a"
    await page.request.post(url, headers={"Authorization": f"Bearer {WORKER}"}, data={"current": 1, "total": 4})

    await page.goto(f"{guarded.url}/jobs/a")
    await page.get_by_role("textbox", name="Token").fill(STRANGER)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", name="There is no job a")).to_be_visible(timeout=45_000)
    await expect(page.locator(".connection")).to_have_text("Ended")
    assert await page.get_by_role("progressbar").count() == 0
