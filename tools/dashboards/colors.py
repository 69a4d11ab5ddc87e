"""Colours: by value, and by the name of a series."""

from typing import Any

from grafana_foundation_sdk.models import dashboard as model

GREEN, YELLOW, RED, BLUE, GREY, PURPLE = "green", "yellow", "red", "blue", "#8e8e8e", "purple"
CLEAR = "transparent"

OUTCOMES = {"completed": GREEN, "failed": RED, "cancelled": GREY, "lost": PURPLE}


def steps(*limits: tuple[float | None, str]) -> model.ThresholdsConfig:
    """Return colours by value: each from its limit on, the first, without one, from below."""
    return model.ThresholdsConfig(
        mode=model.ThresholdsMode.ABSOLUTE,
        steps=[model.Threshold(value=limit, color=color) for limit, color in limits],
    )


def bad_from(limit: float, warn_from: float | None = None) -> model.ThresholdsConfig:
    """Return green, and red from a limit on; yellow before, if that is said."""
    warning: list[tuple[float | None, str]] = [] if warn_from is None else [(warn_from, YELLOW)]
    return steps((None, GREEN), *warning, (limit, RED))


def good_from(limit: float, warn_from: float) -> model.ThresholdsConfig:
    """Return green from a limit on, yellow below it, red below the lower one."""
    return steps((None, RED), (warn_from, YELLOW), (limit, GREEN))


def override(name: str, **properties: Any) -> model.DashboardFieldConfigSourceOverrides:
    """Return what differs for the field of a name; `custom_width` stands for the property `custom.width`."""
    return model.DashboardFieldConfigSourceOverrides(
        matcher=model.MatcherConfig(id_val="byName", options=name),
        properties=[model.DynamicConfigValue(key.replace("custom_", "custom."), it) for key, it in properties.items()],
    )


def colored(name: str, color: str) -> model.DashboardFieldConfigSourceOverrides:
    """Return a fixed colour for the series of a name."""
    return override(name, color={"mode": "fixed", "fixedColor": color})


def limit_line(name: str) -> model.DashboardFieldConfigSourceOverrides:
    """Draw the series of a name as a limit: dashed, red, and without a surface below."""
    dashed = {"fill": "dash", "dash": [8, 6]}
    return override(name, color={"mode": "fixed", "fixedColor": RED}, custom_lineStyle=dashed, custom_fillOpacity=0)
