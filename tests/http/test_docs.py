"""docs/http-api.md names everything that the API has."""

from pathlib import Path

import pytest

from sidecar.core.job import Reason, Status
from sidecar.http import checks, queries, routes
from sidecar.http.wire import Report
from sidecar.tokens import Role
from tests.http.conftest import Sidecar

PAGE = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()
NAMES = {
    "field": Report.model_fields,
    "event": checks.SERVER_EVENTS,
    "reason": Reason,
    "status": Status,
    "role": Role,
    "filter": queries.FILTERS,
}


async def test_every_route_is_documented(sidecar: Sidecar) -> None:
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in routes.api(sidecar.services).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert [each for each in served if f"`{each}`" not in PAGE] == []


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, str(name)) for kind, names in NAMES.items() for name in sorted(names)]
)
def test_every_name_is_documented(kind: str, name: str) -> None:
    assert f"`{name}`" in PAGE, kind
