"""What axe-core finds wrong with a page."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = {"serious", "critical"}

RUN = "() => axe.run(document, { resultTypes: ['violations'] })"


async def assert_accessible(page: Page) -> None:
    """Fail if axe-core finds anything serious or critical in the page as it is now."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(_source())
    found = await page.evaluate(RUN)
    grave = [_told(each) for each in found["violations"] if each["impact"] in GRAVE]
    assert not grave, "\n".join(grave)


@cache
def _source() -> str:
    assert AXE.is_file(), "axe-core is not installed: make tests/web/node_modules/.stamp"
    return f"() => {{ {AXE.read_text()} }}"


def _told(violation: dict[str, Any]) -> str:
    places = "; ".join(f"{node['target']}: {node['failureSummary']}" for node in violation["nodes"])
    return f"{violation['impact']}: {violation['id']}: {violation['help']}: {places}"
