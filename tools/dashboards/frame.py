"""What all four dashboards have around their panels: variables, annotations, links, times."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards import links
from tools.dashboards.layout import Row, placed
from tools.dashboards.panels import SOURCE
from tools.dashboards.queries import own, typed

ALL = model.VariableOption(selected=True, text=["All"], value=["$__all"])
SCHEMA = 39
"""The form of the document, as Grafana 11 has it; later ones bring it up to date by themselves."""

NOISE = frozenset({"repeatDirection", "auto", "auto_count", "auto_min", "transparent", "builtIn"})
"""Fields that the SDK writes everywhere, and that mean nothing here."""

TUCKED_AWAY = ("placement", "inControlsMenu")
"""What the SDK says of every link, and what would take the links from the top of the page."""


class Frame(NamedTuple):
    """A dashboard, but for its panels."""

    uid: str
    description: str
    begins: str
    refresh: str
    is_of_one_job: bool = False
    shows_restarts: bool = False


def dashboard(frame: Frame, rows: Sequence[Row]) -> dict[str, Any]:
    """Return a dashboard as Grafana loads it."""
    built = model.Dashboard(
        uid=frame.uid,
        title=links.TITLES[frame.uid],
        description=frame.description,
        tags=["progress"],
        timezone="browser",
        editable=False,
        schema_version=SCHEMA,
        graph_tooltip=model.DashboardCursorSync.CROSSHAIR,
        time=model.DashboardDashboardTime(from_val=frame.begins, to="now"),
        timepicker=model.TimePickerConfig(refresh_intervals=["10s", "30s", "1m", "5m", "15m"]),
        refresh=frame.refresh,
        panels=placed(rows),
        templating=model.DashboardDashboardTemplating(list_val=_variables(frame)),
        annotations=model.AnnotationContainer(list_val=_annotations(frame)),
        links=_links(frame),
    )
    document: dict[str, Any] = _without_noise(json.loads(JSONEncoder().encode(built)))
    return document


def _variables(frame: Frame) -> list[model.VariableModel]:
    found = [
        model.VariableModel(
            type_val=model.VariableType.DATASOURCE, name="datasource", label="Data source", query="prometheus"
        ),
        _choice("job", "label_values(progress_build_info, job)"),
        _choice("instance", 'label_values(progress_build_info{job=~"$job"}, instance)'),
        _choice("job_type", f"label_values({own('progress_jobs_active')}, job_type)", label="Job type"),
    ]
    if frame.is_of_one_job:
        found.append(_one_job())
    return [*found, _text("sidecar_url", "Live pages at", "http://127.0.0.1:8650"), *_traces(frame)]


def _choice(name: str, query: str, label: str = "") -> model.VariableModel:
    """Return a variable that can have several values; at first it has all."""
    return model.VariableModel(
        type_val=model.VariableType.QUERY,
        name=name,
        label=label or name.title(),
        query=query,
        definition=query,
        datasource=SOURCE,
        multi=True,
        include_all=True,
        all_value=".+",
        current=ALL,
        refresh=model.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=model.VariableSort.NATURAL_ASC,
    )


def _one_job() -> model.VariableModel:
    query = f"label_values({typed('progress_job_info')}, job_id)"
    variable = _choice("job_id", query, label="Job id")
    variable.multi = variable.include_all = False
    variable.all_value = variable.current = None
    return variable


def _text(name: str, label: str, value: str) -> model.VariableModel:
    """Return a variable to type in, for what Prometheus cannot know."""
    return model.VariableModel(
        type_val=model.VariableType.TEXTBOX,
        name=name,
        label=label,
        query=value,
        current=model.VariableOption(selected=True, text=value, value=value),
    )


def _traces(frame: Frame) -> list[model.VariableModel]:
    return [_text("traces_url", "Jaeger at", "http://127.0.0.1:16686")] if frame.is_of_one_job else []


def _annotations(frame: Frame) -> list[model.AnnotationQuery]:
    alerts = model.AnnotationQuery(
        name="Firing alerts",
        datasource=SOURCE,
        icon_color="red",
        expr='ALERTS{alertstate="firing", alertname=~"Progress.+", job=~"$job"}',
        step="30s",
        title_format="{{alertname}} ({{severity}})",
        text_format="{{job_type}} {{job_id}} {{store}} {{instance}}",
        tag_keys="severity",
    )
    starts = model.AnnotationQuery(
        name="Starts of a replica",
        datasource=SOURCE,
        icon_color="blue",
        expr=f"{own('process_start_time_seconds')} * 1000",
        step="30s",
        title_format="A replica started",
        text_format="{{instance}}",
        use_value_for_time=True,
    )
    return [alerts, starts] if frame.shows_restarts else [alerts]


def _links(frame: Frame) -> list[model.DashboardLink]:
    others = links.to_others(frame.uid)
    if frame.is_of_one_job:
        return [*others, links.to_live_page("/jobs/${job_id}"), links.to_traces("${job_id}")]
    return [*others, links.to_live_page("/")]


def _without_noise(node: Any) -> Any:
    """Return a part of the document without the fields that are not ours."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if key not in NOISE and (key, value) != TUCKED_AWAY}
        return {key: _without_noise(value) for key, value in kept.items()}
    return [_without_noise(item) for item in node] if isinstance(node, list) else node
