"""Panels as all dashboards have them: one function for each kind, and what every panel must say in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import bargauge, common, gauge, heatmap, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import Dataquery, PromQueryFormat, QueryEditorMode

from tools.dashboards.colors import BLUE, GREEN, colored, steps
from tools.dashboards.queries import quantile

SOURCE = words.DataSourceRef(type_val="prometheus", uid="${datasource}")

HEATMAP, TABLE = PromQueryFormat.HEATMAP, PromQueryFormat.TABLE


class About(NamedTuple):
    """What a panel says of itself: what it shows and why that matters, what to do about it, and in which unit it is.

    `none` is shown where a query has no result.
    """

    title: str
    what: str
    act: str
    unit: str
    none: str = "none"


@dataclass(frozen=True)
class Query:
    """A query of a panel: over all that is shown, or, if `is_instant`, as of its end."""

    expr: str
    legend: str = "__auto"
    is_instant: bool = False
    has_exemplars: bool = False
    kind: PromQueryFormat = PromQueryFormat.TIME_SERIES

    def target(self, ref: str) -> Dataquery:
        """Return it as it stands in a panel."""
        return Dataquery(
            expr=self.expr,
            ref_id=ref,
            legend_format=self.legend,
            instant=self.is_instant,
            range_val=not self.is_instant,
            exemplar=self.has_exemplars,
            format_val=self.kind,
            editor_mode=QueryEditorMode.CODE,
            datasource=SOURCE,
        )


def now(expr: str, legend: str = "__auto") -> Query:
    """Return a query as of the end of what is shown."""
    return Query(expr, legend, is_instant=True)


def p50_and_p95(buckets: str, label: str) -> list[Query]:
    """Return what half, and nineteen of twenty, observations of a histogram were below, for each value of a label."""
    shares = ((0.5, "p50"), (0.95, "p95"))
    return [Query(quantile(it, buckets, label), f"{{{{{label}}}}} {name}") for it, name in shares]


def finished(builder: Builder[model.Panel], about: About, queries: Sequence[Query]) -> model.Panel:
    """Give a panel what every panel must have; its id and place come with the layout."""
    panel = builder.build()
    panel.title, panel.description = about.title, f"{about.what}\n\n{about.act}"
    panel.datasource = SOURCE
    panel.targets = [query.target(ref) for query, ref in zip(queries, ascii_uppercase, strict=False)]
    defaults = defaults_of(panel)
    defaults.unit, defaults.no_value = about.unit, about.none
    defaults.thresholds = steps((None, GREEN))
    return panel


def defaults_of(panel: model.Panel) -> model.FieldConfig:
    """Return what holds for every field of a panel."""
    panel.field_config = panel.field_config or model.FieldConfigSource()
    return panel.field_config.defaults


def differ(panel: model.Panel, overrides: Sequence[model.DashboardFieldConfigSourceOverrides]) -> model.Panel:
    """Let some fields of a panel differ from the others."""
    panel.field_config = panel.field_config or model.FieldConfigSource()
    panel.field_config.overrides = list(overrides)
    return panel


def number(
    about: About, *queries: Query, colors: model.ThresholdsConfig | None = None, text: str = "auto", decimals: int = 0
) -> model.Panel:
    """Return a panel of single values, as of the end of what is shown: the last of a range may be hours old.

    `text` is `name` where the labels are what one wants to read.
    """
    builder = (
        stat.Panel()
        .reduce_options(_last())
        .color_mode(words.BigValueColorMode.VALUE)
        .graph_mode(words.BigValueGraphMode.NONE)
        .text_mode(words.BigValueTextMode(text))
    )
    panel = finished(builder, about, queries)
    defaults = defaults_of(panel)
    defaults.thresholds, defaults.decimals = colors or steps((None, BLUE)), decimals
    return panel


def share(about: About, query: Query, colors: model.ThresholdsConfig) -> model.Panel:
    """Return a gauge from 0 to 1."""
    panel = finished(gauge.Panel().min(0).max(1).reduce_options(_last()), about, [query])
    defaults = defaults_of(panel)
    defaults.thresholds, defaults.decimals = colors, 1
    return panel


def bars(about: About, query: Query, link: model.DashboardLink) -> model.Panel:
    """Return a bar from 0 to 1 for each series, each a link."""
    builder = (
        bargauge.Panel()
        .min(0)
        .max(1)
        .orientation(words.VizOrientation.HORIZONTAL)
        .display_mode(words.BarGaugeDisplayMode.BASIC)
        .reduce_options(_last())
    )
    panel = finished(builder, about, [query])
    defaults = defaults_of(panel)
    defaults.thresholds, defaults.links = steps((None, BLUE)), [link]
    return panel


def lines(
    about: About, *queries: Query, least: float | None = 0, limits: model.ThresholdsConfig | None = None
) -> model.Panel:
    """Return lines over time, from `least` on; `limits` are drawn, too."""
    drawn = words.GraphThresholdsStyleMode.DASHED if limits else words.GraphThresholdsStyleMode.OFF
    builder = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(8)
        .show_points(words.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(_tooltip())
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(drawn))
    )
    panel = finished(builder, about, queries)
    defaults = defaults_of(panel)
    defaults.min_val, defaults.thresholds = least, limits or defaults.thresholds
    return panel


def stack(about: About, *queries: Query, colors: Mapping[str, str] | None = None) -> model.Panel:
    """Return bars over time that stand on one another; colours are by the name of a series."""
    builder = (
        timeseries.Panel()
        .draw_style(words.GraphDrawStyle.BARS)
        .line_width(0)
        .fill_opacity(80)
        .stacking(common.StackingConfig().group("A").mode(words.StackingMode.NORMAL))
        .show_points(words.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(_tooltip())
    )
    panel = finished(builder, about, queries)
    defaults_of(panel).min_val = 0
    return differ(panel, [colored(name, color) for name, color in (colors or {}).items()])


def spans(about: About, *queries: Query, colors: model.ThresholdsConfig | None = None) -> model.Panel:
    """Return a row for each series, filled while it has a value: in the row's colour, or in the value's."""
    builder = statetimeline.Panel().show_value(words.VisibilityMode.NEVER).row_height(0.8).tooltip(_tooltip())
    panel = finished(builder, about, queries)
    mode = model.FieldColorModeId.THRESHOLDS if colors else model.FieldColorModeId.PALETTE_CLASSIC
    defaults = defaults_of(panel)
    defaults.color, defaults.thresholds = model.FieldColor(mode=mode), colors or defaults.thresholds
    return panel


def heat(about: About, query: Query) -> model.Panel:
    """Return how a histogram's observations spread over its buckets, over time."""
    builder = heatmap.Panel().y_axis(heatmap.YAxisConfig().unit(about.unit))
    return finished(builder, about, [query])


def named(names: Mapping[float, tuple[str, str]]) -> list[Any]:
    """Return the words, and colours, that stand for numbers."""
    results = {
        f"{value:g}": model.ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(names.items())
    }
    return [model.ValueMap(options=results)]


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _legend() -> common.VizLegendOptions:
    builder = common.VizLegendOptions().display_mode(words.LegendDisplayMode.LIST)
    return builder.placement(words.LegendPlacement.BOTTOM).show_legend(show_legend=True)


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.DESCENDING)
