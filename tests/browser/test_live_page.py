"""The live page, as its readers see it, over a real sidecar."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Contexts
from tests.browser.program import Deployment
from tests.browser.troubles import LOST_CONNECTION, Troubles

HOSTILE = '<img src="x" onerror="document.title=1">'
MANY = 1_000
MOST_SHIFT = 0.1
HALF_A_PIXEL = 0.5
UNKNOWN = "\N{EN DASH}"
BACK_MILLISECONDS = 20_000
"""How long a page may take to be back after a break: it waits longer after each failure."""

TOKEN = "a-token-of-many-characters"
MUCH = {"current": 74, "total": 216, "unit": "clusters", "stage": "solving", "message": "cluster 74 of 216"}

CLIPBOARD = """
const writeText = async (text) => {
  if (!globalThis.mayCopy) throw new Error("not allowed");
  globalThis.copied = text;
};
Object.defineProperty(navigator, "clipboard", { value: { writeText } });
"""
KEEP_ROWS = """() => { globalThis.kept = new Map(
  [...document.querySelectorAll("#active .job")].map((row) => [row.querySelector(".id").textContent, row])); }"""
ARE_SAME_ROWS = """() => [...document.querySelectorAll("#active .job")]
  .every((row) => globalThis.kept.get(row.querySelector(".id").textContent) === row)"""
COUNT_ADDED_ROWS = """() => {
  globalThis.addedRows = 0;
  const count = (changes) => { for (const { addedNodes } of changes) globalThis.addedRows += addedNodes.length; };
  new MutationObserver(count).observe(document.querySelector("#active .job").parentElement, { childList: true });
}"""
NOTE_SHIFTS = """
globalThis.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) globalThis.shifts.push(value);
}).observe({ type: "layout-shift", buffered: true });
"""
PLACE_OF = """(element) => { const { x, y, width } = element.getBoundingClientRect(); return [x, y, width]; }"""
TEXT_TOP = """(element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return range.getBoundingClientRect().top;
}"""
STALLED_ROW = """async () => {
  const { Row } = await import("/web/live/row.js");
  const at = new Date().toISOString();
  const row = new Row({ job_id: "idle", project: "p", job_type: "t", attempt: 1, status: "running", percent: 40,
    stage: null, stage_percent: 40, current: 4, total: 10, unit: null, message: "still here", eta_seconds: 9,
    stall_reason: "no_progress", parent_id: null, created_at: at, updated_at: at, version: 1, cursor: "e-1" },
    Date.now);
  const table = document.createElement("div");
  table.className = "jobs panel stalled";
  table.setAttribute("role", "table");
  table.append(row.element);
  document.querySelector("main").append(table);
}"""


async def opened(page: Page, sidecar: Deployment, query: str = "") -> Page:
    """Open the page, and wait until it is live."""
    await page.goto(f"{sidecar.url}/{query}")
    await expect(page.locator("#connection")).to_have_text("Live")
    return page


def bar(page: Page, job_id: str, where: str = "#active") -> Locator:
    """Return the bar of a job."""
    return page.locator(f'{where} [role="progressbar"][aria-label="{job_id}"]')


def chip(page: Page, status: str) -> Locator:
    """Return the button that counts the jobs of a status and shows only these."""
    return page.locator("#counts").get_by_role("button", name=status)


async def test_bar_moves_while_a_worker_pushes_and_the_job_ends_below(
    page: Page, sidecar: Deployment, project: str
) -> None:
    job_id = f"{project}-moving"
    await sidecar.push(job_id, project=project, current=10, total=100, unit="files", message="the first ten")
    await opened(page, sidecar, f"?project={project}")
    await expect(bar(page, job_id)).to_have_attribute("aria-valuenow", "10")
    await sidecar.push(job_id, current=60, message="more than half")
    await expect(bar(page, job_id)).to_have_attribute("aria-valuenow", "60")
    await expect(page.get_by_text("more than half")).to_be_visible()
    await sidecar.push(job_id, status="completed")
    await expect(bar(page, job_id, "#finished")).to_have_attribute("aria-valuenow", "100")
    await expect(bar(page, job_id)).to_have_count(0)
    await expect(page.locator("#announcements")).to_contain_text(f"Completed: {job_id}.")


async def test_share_that_nobody_knows_is_no_number(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-scan", project=project, current=48, unit="files")
    await opened(page, sidecar, f"?project={project}")
    await expect(bar(page, f"{project}-scan")).to_have_attribute("aria-valuetext", "share unknown, running")
    assert await bar(page, f"{project}-scan").get_attribute("aria-valuenow") is None
    await expect(page.get_by_text("48 files so far")).to_be_visible()


async def test_newest_jobs_stand_first_wherever_they_come_from(page: Page, sidecar: Deployment, project: str) -> None:
    for name in ("a", "b", "c"):
        await sidecar.push(f"{project}-{name}", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    await sidecar.push(f"{project}-d", project=project, current=1)
    await sidecar.push(f"{project}-a", current=2)
    await expect(page.locator("#active .id")).to_have_text([f"{project}-{name}" for name in ("d", "c", "b", "a")])


async def test_deleted_job_leaves(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-a", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    await expect(page.locator("#active .id")).to_have_count(1)
    await sidecar.delete(f"{project}-a")
    await expect(page.locator("#active .id")).to_have_count(0)
    await expect(page.locator("#nothing")).to_have_text("No unfinished job matches these filters.")


async def test_empty_sidecar_tells_the_command_that_makes_the_first_job(page: Page, own_sidecar: Deployment) -> None:
    await opened(page, own_sidecar)
    await expect(page.locator("#nothing code")).to_contain_text(f"{own_sidecar.url}/v1/jobs/first")
    await own_sidecar.push("first", current=74, total=216)
    await expect(bar(page, "first")).to_have_attribute("aria-valuenow", "34.26")
    await expect(page.locator("#nothing")).to_be_hidden()


async def test_command_is_said_to_be_copied_only_if_it_is(page: Page, own_sidecar: Deployment) -> None:
    await page.add_init_script(CLIPBOARD)
    await opened(page, own_sidecar)
    copy = page.locator("#nothing button")
    await copy.click()
    await page.wait_for_function("getSelection().toString().includes('/v1/jobs/first')")
    await expect(copy).to_have_text("Copy")
    await page.evaluate("globalThis.mayCopy = true")
    await copy.click()
    await expect(copy).to_have_text("Copied")
    assert "/v1/jobs/first" in await page.evaluate("copied")
    await expect(copy).to_have_text("Copy")


async def test_where_only_finished_ones_are_wanted_nothing_is_said_of_unfinished_ones(
    page: Page, sidecar: Deployment, project: str
) -> None:
    await sidecar.push(f"{project}-a", project=project, current=1)
    await opened(page, sidecar, f"?project={project}&status=failed")
    await expect(page.locator("#nothing")).to_have_text("No job matches these filters.")
    await expect(page.get_by_role("heading", name="In progress")).to_be_hidden()


async def test_finished_jobs_tell_how_they_ended(page: Page, sidecar: Deployment, project: str) -> None:
    for name in ("good", "bad", "stopped"):
        await sidecar.push(f"{project}-{name}", project=project, stage="solving", current=1)
    await sidecar.push(f"{project}-good", status="completed")
    await sidecar.push(f"{project}-bad", status="failed", error={"type": "TimeoutError", "message": HOSTILE})
    await opened(page, sidecar, f"?project={project}")
    await expect(page.locator("#finished .id")).to_have_text([f"{project}-bad", f"{project}-good"])
    await expect(page.locator("#finished").get_by_text(f"TimeoutError: {HOSTILE}")).to_be_visible()
    await sidecar.push(f"{project}-stopped", status="cancelled")
    await expect(page.locator("#finished .id").first).to_have_text(f"{project}-stopped")
    await chip(page, "Failed").click()
    await expect(page.locator("#finished .id")).to_have_text([f"{project}-bad"])
    await page.reload()
    await expect(page.locator("#finished .id")).to_have_text([f"{project}-bad"])
    await expect(page.locator("#counts .number")).to_have_text(["0", "0", "0", "0", "0", "1", "1", "1", "0"])
    await expect(page.locator("#jobs")).to_be_hidden()


async def test_filters_stand_in_the_address_and_survive_a_reload_and_the_way_back(
    page: Page, sidecar: Deployment, project: str
) -> None:
    await sidecar.push(f"{project}-run", project=project, job_type="import", current=1)
    await sidecar.push(f"{project}-wait", project=project, job_type="import", status="paused")
    await sidecar.push(f"{project}-other", project=project, job_type="crawl", current=1)
    await opened(page, sidecar, f"?project={project}")
    ids = page.locator("#active .id")
    await expect(ids).to_have_count(3)
    await page.get_by_role("combobox", name="Type").select_option("import")
    await expect(ids).to_have_text([f"{project}-wait", f"{project}-run"])
    await chip(page, "Paused").click()
    await expect(ids).to_have_text([f"{project}-wait"])
    assert page.url.endswith(f"/?project={project}&job_type=import&status=paused")
    await page.reload()
    await expect(ids).to_have_text([f"{project}-wait"])
    await expect(chip(page, "Paused")).to_have_attribute("aria-pressed", "true")
    await page.go_back()
    await expect(ids).to_have_text([f"{project}-wait", f"{project}-run"])
    await page.get_by_label("Search by id").fill("-RUN")
    await expect(ids).to_have_text([f"{project}-run"])
    await expect(page).to_have_url(f"{sidecar.url}/?project={project}&job_type=import&search=-RUN")


async def test_counts_say_how_many_there_are_of_each_status(page: Page, sidecar: Deployment, project: str) -> None:
    for number, status in enumerate(("running", "running", "queued", "paused", "blocked")):
        await sidecar.push(f"{project}-{number}", project=project, status=status, blocked_on="a key")
    await opened(page, sidecar, f"?project={project}")
    numbers = page.locator("#counts .number")
    await expect(numbers).to_have_text(["0", "2", "1", "1", "1", "0", "0", "0", "0"])
    await sidecar.push(f"{project}-0", status="completed")
    await expect(numbers).to_have_text(["0", "1", "1", "1", "1", "1", "0", "0", "0"])
    await expect(page).to_have_title("1 running · Progress")


async def test_counts_do_not_hide_that_there_are_more_than_are_listed(
    page: Page, sidecar: Deployment, project: str
) -> None:
    ends = {"completed": 52, "failed": 3, "cancelled": 50}
    jobs = [f"{project}-{status}-{number}" for status, many in ends.items() for number in range(many)]
    await sidecar.push_many([{"job_id": job, "project": project, "current": 1} for job in jobs])
    await sidecar.push_many([{"job_id": job, "status": job.split("-")[-2]} for job in jobs])
    await opened(page, sidecar, f"?project={project}")
    numbers = page.locator("#counts .number")
    await expect(numbers).to_have_text(["0", "0", "0", "0", "0", "50+", "3", "50", "0"])
    await expect(page.locator("#finished .job")).to_have_count(50)
    await chip(page, "Failed").click()
    await expect(page.locator("#finished .job")).to_have_count(3)
    await sidecar.push(f"{project}-last", project=project, status="cancelled")
    await expect(numbers).to_have_text(["0", "0", "0", "0", "0", "50+", "3", "50+", "0"])


async def test_job_is_found_by_keyboard_alone(page: Page, sidecar: Deployment, project: str) -> None:
    for name in ("a", "b"):
        await sidecar.push(f"{project}-{name}", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    await page.locator("#active .id").first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#active .id").last).to_be_focused()
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search by id")).to_be_focused()
    await page.keyboard.type(f"{project}-a")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{sidecar.url}/jobs/{project}-a")


async def test_search_says_that_an_id_is_nobodys(
    page: Page, sidecar: Deployment, project: str, troubles: Troubles
) -> None:
    troubles.expect("404")
    await opened(page, sidecar, f"?project={project}")
    await page.get_by_label("Search by id").fill(f"{project}-nobody")
    await page.keyboard.press("Enter")
    await expect(page.locator("#search-hint")).to_have_text("No job has this id.")
    await page.keyboard.press("Escape")
    await expect(page.get_by_label("Search by id")).to_have_value("")


async def test_hostile_words_stay_words(page: Page, sidecar: Deployment, project: str) -> None:
    words = {"message": HOSTILE, "stage": "<i>one</i>"}
    await sidecar.push(f"{project}-bad", project=project, current=1, total=3, **words)
    await sidecar.push(f"{project}-unit", project=project, current=1, total=3, unit="<b>files</b>")
    await opened(page, sidecar, f"?project={project}&job_type=<b>x</b>&status=<b>")
    await expect(page.get_by_text(HOSTILE)).to_be_visible()
    await expect(page.get_by_text("<i>one</i>")).to_be_visible()
    await expect(page.get_by_text("1 of 3 <b>files</b>")).to_be_visible()
    assert await page.locator("main :is(img, b, i)").count() == 0


async def test_stalled_job_says_so_in_words(page: Page, sidecar: Deployment, project: str) -> None:
    await opened(page, sidecar, f"?project={project}")
    await page.evaluate(STALLED_ROW)
    row = page.locator(".stalled .job")
    await expect(row.get_by_text("Stalled: no progress")).to_be_visible()
    await expect(row.locator(".eta")).to_have_attribute("data-none", "")


async def test_thousand_jobs_change_without_flicker(page: Page, own_sidecar: Deployment) -> None:
    await own_sidecar.push_many([{"job_id": f"job-{n}", "current": 0, "total": 1000} for n in range(MANY)])
    await opened(page, own_sidecar)
    await expect(page.locator("#active-count")).to_have_text("1,000")
    await page.evaluate(KEEP_ROWS)
    await page.evaluate(COUNT_ADDED_ROWS)
    for step in range(1, 11):
        await own_sidecar.push_many([{"job_id": f"job-{n}", "current": step * 10} for n in range(0, MANY, 2)])
    await expect(bar(page, "job-998")).to_have_attribute("aria-valuenow", "10")
    await expect(bar(page, "job-0")).to_have_attribute("aria-valuenow", "10")
    assert await page.evaluate(ARE_SAME_ROWS)
    assert await page.evaluate("addedRows") == 0
    assert await page.locator("#active .job").count() == MANY


async def test_nothing_jumps_while_a_thousand_jobs_arrive(page: Page, own_sidecar: Deployment) -> None:
    await own_sidecar.push_many([{"job_id": f"job-{n}", "current": n, "total": 1000} for n in range(MANY)])
    await own_sidecar.push_many([{"job_id": f"job-{n}", "status": "completed"} for n in range(3)])
    await page.add_init_script(NOTE_SHIFTS)
    await opened(page, own_sidecar)
    await expect(page.locator("#active-count")).to_have_text("997")
    await expect(page.locator("#finished .job")).to_have_count(3)
    shifts = await page.evaluate("() => new Promise((resolve) => setTimeout(() => resolve(shifts), 500))")
    assert sum(shifts) < MOST_SHIFT, shifts


async def _held(page: Page, url: str) -> asyncio.Event:
    """Hold requests until the event is set."""
    may_go = asyncio.Event()

    async def hold(route: Route) -> None:
        await may_go.wait()
        await route.continue_()

    await page.route(url, hold)
    return may_go


async def test_what_is_not_known_yet_is_no_number(page: Page, sidecar: Deployment, project: str) -> None:
    for name in ("a", "b"):
        await sidecar.push(f"{project}-{name}", project=project, current=1)
    await sidecar.push(f"{project}-b", status="completed")
    may_stream, may_answer = await _held(page, "**/v1/events?*"), await _held(page, "**/v1/jobs?*")
    await page.goto(f"{sidecar.url}/?project={project}", wait_until="commit")
    numbers = page.locator("#counts .number")
    await expect(numbers).to_have_text([UNKNOWN] * 9)
    may_stream.set()
    await expect(numbers).to_have_text(["0", "1", "0", "0", "0", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN])
    may_answer.set()
    await expect(numbers).to_have_text(["0", "1", "0", "0", "0", "1", "0", "0", "0"])


async def test_what_is_searched_for_is_shown_from_its_beginning(page: Page, own_sidecar: Deployment) -> None:
    await own_sidecar.push_many([{"job_id": f"job-{n}", "current": 0, "total": 1000} for n in range(300)])
    await opened(page, own_sidecar)
    await page.locator("#active .id").last.scroll_into_view_if_needed()
    await page.keyboard.press("/")
    await page.keyboard.type("job-1")
    await expect(page.locator("#active-count")).to_have_text("111 of 300")
    await expect(page.locator("#active .id").first).to_be_in_viewport()


async def test_search_that_finds_nothing_says_what_enter_does(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-a", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    await page.get_by_label("Search by id").fill("nobody")
    await expect(page.locator("#nothing")).to_contain_text("Enter opens the job that has exactly this id")


async def test_nothing_moves_when_words_change(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-a", project=project, job_type="import", current=1)
    await opened(page, sidecar, "?search=x")
    search, rows = page.locator(".search"), page.locator("#jobs")
    places = [await search.evaluate(PLACE_OF), await rows.evaluate(PLACE_OF)]
    await page.locator("#clear").click()
    await expect(page.locator("#clear")).to_be_hidden()
    await page.locator("#connection").evaluate("(element) => (element.textContent = 'Reconnecting')")
    assert [await search.evaluate(PLACE_OF), await rows.evaluate(PLACE_OF)] == places


async def test_the_text_beside_a_stall_stands_as_high_as_any_other(
    page: Page, sidecar: Deployment, project: str
) -> None:
    await opened(page, sidecar, f"?project={project}")
    await page.evaluate(STALLED_ROW)
    row = page.locator(".stalled .job")
    tops = [await row.locator(part).evaluate(TEXT_TOP) for part in (".message", ".type")]
    assert abs(tops[0] - tops[1]) < HALF_A_PIXEL


@pytest.mark.parametrize("width", [861, 1000, 1200, 1280])
async def test_a_type_is_not_cut_where_there_is_room(page: Page, sidecar: Deployment, project: str, width: int) -> None:
    await sidecar.push(f"{project}-a", project=project, job_type="github-ingest", current=1)
    await page.set_viewport_size({"width": width, "height": 800})
    await opened(page, sidecar, f"?project={project}")
    kind = page.locator("#active .type")
    await expect(kind).to_have_text("github-ingest")
    assert await kind.evaluate("(cell) => cell.scrollWidth <= cell.clientWidth")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_an_empty_page_has_no_stray_indent_on_a_small_screen(
    narrow_page: Page, sidecar: Deployment, project: str
) -> None:
    await opened(narrow_page, sidecar, f"?project={project}")
    await expect(narrow_page.locator("#nothing")).to_be_visible()
    lefts = [
        (await narrow_page.locator(part).evaluate(PLACE_OF))[0] for part in (".filters label >> nth=0", "#active-title")
    ]
    assert lefts[0] == lefts[1]


async def test_the_finished_jobs_are_one_step_away(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-run", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    skip = page.get_by_role("link", name="Skip to the finished jobs")
    await expect(skip).to_be_hidden()
    await sidecar.push(f"{project}-done", project=project, status="completed")
    await expect(page.locator("#finished .id")).to_have_count(1)
    await skip.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.locator("#finished .id")).to_be_focused()


async def test_page_survives_a_restart_of_the_sidecar_and_of_redis(
    page: Page, own_sidecar: Deployment, troubles: Troubles
) -> None:
    troubles.expect(LOST_CONNECTION, "503")
    await own_sidecar.push("job", current=1, total=10)
    await own_sidecar.push("other", current=1, total=10)
    await opened(page, own_sidecar)
    own_sidecar.kill()
    await expect(page.locator("#connection")).to_have_text("Reconnecting")
    await expect(page.locator("#notices")).to_contain_text("has not been reached since")
    await own_sidecar.up()
    await own_sidecar.push("other", status="completed")
    await expect(page.locator("#connection")).to_have_text("Live", timeout=BACK_MILLISECONDS)
    await expect(bar(page, "other", "#finished")).to_have_attribute("aria-valuenow", "100")
    await own_sidecar.push("job", current=5)
    await expect(bar(page, "job")).to_have_attribute("aria-valuenow", "50")
    own_sidecar.kill_valkey()
    await own_sidecar.push("job", current=7)
    await expect(bar(page, "job")).to_have_attribute("aria-valuenow", "70", timeout=BACK_MILLISECONDS)
    await expect(page.locator("#notices")).to_be_empty(timeout=BACK_MILLISECONDS)


async def test_whoever_has_no_session_signs_in_and_out(
    page: Page, guarded_sidecar: Deployment, troubles: Troubles
) -> None:
    troubles.expect("401")
    await page.goto(guarded_sidecar.url)
    dialog = page.get_by_role("dialog", name="Sign in")
    await dialog.get_by_label("Token").fill("not-the-right-token")
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog.get_by_role("alert")).to_have_text("This token is not known here.")
    await assert_accessible(page)
    await dialog.get_by_label("Token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.locator("#connection")).to_have_text("Live")
    await page.reload()
    await expect(page.locator("#connection")).to_have_text("Live")
    assert await page.evaluate("document.cookie") == ""
    await expect(page.locator("#nothing code")).to_contain_text("Authorization: Bearer $TOKEN")
    await page.get_by_role("button", name="Sign out").click()
    await expect(dialog).to_be_visible()


@pytest_asyncio.fixture(loop_scope="session")
async def guarded_sidecar(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Deployment]:
    """Return a sidecar that wants a token."""
    deployment = await Deployment(tmp_path / "guarded", tokens=f"reader:*:{TOKEN}").up()
    yield deployment
    await contexts.close()
    deployment.kill()


async def test_page_of_a_full_sidecar_says_so_and_asks_instead(
    page: Page, contexts: Contexts, full_sidecar: Deployment, troubles: Troubles
) -> None:
    troubles.expect(LOST_CONNECTION, "503")
    await full_sidecar.push("job", current=1, total=10)
    await opened(page, full_sidecar)
    late = await contexts.page()
    await late.goto(full_sidecar.url)
    await expect(late.locator("#notices")).to_contain_text("all the watchers that it can take")
    await expect(bar(late, "job")).to_have_attribute("aria-valuenow", "10", timeout=BACK_MILLISECONDS)


@pytest_asyncio.fixture(loop_scope="session")
async def full_sidecar(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Deployment]:
    """Return a sidecar that takes one watcher."""
    deployment = await Deployment(tmp_path / "full", max_streams=1).up()
    yield deployment
    await contexts.close()
    deployment.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(sidecar: Deployment, project: str) -> list[dict[str, Any]]:
    """Return jobs in every state, which the sidecar knows."""
    jobs: list[dict[str, Any]] = [
        {"job_id": f"{project}-a", "job_type": "timetable", **MUCH},
        {"job_id": f"{project}-b", "status": "blocked", "blocked_on": "a key"},
        {"job_id": f"{project}-c", "status": "queued"},
        {"job_id": f"{project}-d", "current": 12},
        {"job_id": f"{project}-{'long' * 20}", "status": "paused", "message": "word " * 60},
    ]
    jobs += [{"job_id": f"{project}-{status}", "current": 1} for status in ("completed", "failed", "cancelled")]
    await sidecar.push_many([{"project": project, **job} for job in jobs])
    for status in ("completed", "failed", "cancelled"):
        await sidecar.push(f"{project}-{status}", status=status)
    return jobs


async def test_nothing_serious_keeps_anybody_from_reading_it(
    any_page: Page, sidecar: Deployment, project: str, crowd: list[dict[str, Any]]
) -> None:
    await opened(any_page, sidecar, f"?project={project}")
    await expect(any_page.locator(".job")).to_have_count(len(crowd))
    await any_page.evaluate(STALLED_ROW)
    await assert_accessible(any_page)
    width, room = await any_page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= room


async def test_times_are_told_in_the_readers_zone(page: Page, sidecar: Deployment, project: str) -> None:
    await sidecar.push(f"{project}-a", project=project, current=1)
    await opened(page, sidecar, f"?project={project}")
    time = page.locator("#active time")
    await expect(time).to_have_attribute("title", re.compile("(CET|CEST|GMT\\+[12])$"))
    assert await time.get_attribute("datetime") == (await sidecar.job(f"{project}-a"))["last_progress_at"]
