"""Tables: several queries beside one another, joined by the labels that they have in common."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.colors import override
from tools.dashboards.panels import TABLE, About, Query, defaults_of, differ, finished

GAUGE_CELL = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
COLORED_TEXT = {"type": "color-text"}
COLORED_ROW = {"type": "color-background", "mode": "basic", "applyToRow": True}


class Column(NamedTuple):
    """A column: a label that the queries have, or the value of a query; without a title it is not shown.

    `looks` are the properties of its field.
    """

    title: str
    label: str = ""
    expr: str = ""
    looks: Mapping[str, Any] = {}


def table_of(about: About, columns: Sequence[Column], sort_by: Sequence[str] = ()) -> model.Panel:
    """Return a table with these columns, from left to right, ordered by the largest of some of them.

    `merge` makes one row of the rows of all queries that agree in the labels which every query has.
    """
    exprs = [column.expr for column in columns if column.expr]
    queries = [Query(expr, is_instant=True, kind=TABLE) for expr in exprs]
    # Grafana calls values by their query, but not if there is only one.
    refs = iter([f"Value #{ref}" for ref, _ in zip(ascii_uppercase, exprs, strict=False)] if exprs[1:] else ["Value"])
    sources = [next(refs) if column.expr else column.label for column in columns]
    panel = finished(table.Panel(), about, queries)
    panel.transformations = [
        model.DataTransformerConfig("merge", options={}),
        model.DataTransformerConfig("organize", options=_organized(columns, sources)),
    ]
    panel.options = _options(sort_by)
    defaults_of(panel).decimals = 0
    return differ(panel, [override(column.title, **column.looks) for column in columns if column.looks])


def _organized(columns: Sequence[Column], sources: Sequence[str]) -> dict[str, Any]:
    unseen = [source for column, source in zip(columns, sources, strict=True) if not column.title]
    return {
        "excludeByName": dict.fromkeys(("Time", *unseen), True),
        "indexByName": {source: place for place, source in enumerate(sources)},
        "renameByName": {source: column.title for source, column in zip(sources, columns, strict=True) if column.title},
    }


def _options(sort_by: Sequence[str]) -> dict[str, Any]:
    sorting = [{"displayName": title, "desc": True} for title in sort_by]
    return {"cellHeight": "sm", "showHeader": True, "sortBy": sorting}
