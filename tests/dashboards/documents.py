"""The dashboards as they stand in their files, as Grafana reads them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILES = {name: ROOT / "dashboards" / f"{name}.json" for name in ("overview", "job", "sidecar", "slo")}

QUOTED = r'"(?:[^"\\]|\\.)*"'
SELECTOR = re.compile(rf"([a-zA-Z_:][\w:]*)\{{((?:[^\"}}]|{QUOTED})*)\}}(?:\[([^\]]+)\])?")
"""A selector as our queries write it: name, matchers, and maybe a range."""


@dataclass(frozen=True)
class Selector:
    """One selector of a query; `before` is what the query says up to it."""

    metric: str
    matchers: str
    window: str | None
    before: str

    @property
    def function(self) -> str:
        """The function that is applied to it at once."""
        found = re.search(r"(\w+)\($", self.before)
        return found[1] if found else ""

    @property
    def text(self) -> str:
        """It without its range."""
        return f"{self.metric}{{{self.matchers}}}"

    @property
    def is_of_errors(self) -> bool:
        """Whether it finds nothing until something goes wrong."""
        return 'code=~"5.."' in self.matchers


@dataclass(frozen=True)
class Target:
    """One query, and where it stands."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    is_instant: bool
    has_exemplars: bool

    @property
    def where(self) -> str:
        """A name for messages, and for lists of exclusions."""
        return f"{self.dashboard} / {self.panel} / {self.ref}"

    @property
    def selectors(self) -> list[Selector]:
        """Every selector in it."""
        return [Selector(each[1], each[2], each[3], self.expr[: each.start()]) for each in SELECTOR.finditer(self.expr)]


@dataclass(frozen=True)
class Board:
    """A dashboard."""

    name: str
    document: dict[str, Any]

    @property
    def panels(self) -> list[Mapping[str, Any]]:
        """Panels that show something: all but the headings of rows."""
        return [panel for panel in self.document["panels"] if panel["type"] != "row"]

    @property
    def variables(self) -> list[Mapping[str, Any]]:
        """The variables, in their order."""
        return list(self.document["templating"]["list"])

    def variable(self, name: str) -> Mapping[str, Any]:
        """Return the variable of a name."""
        return next(each for each in self.variables if each["name"] == name)

    @property
    def targets(self) -> Iterator[Target]:
        """Every query of every panel."""
        for panel in self.panels:
            for each in panel["targets"]:
                yield Target(self.name, panel["title"], each["refId"], each["expr"], each["instant"], each["exemplar"])


def board(name: str) -> Board:
    """Return the dashboard in a file."""
    return Board(name, json.loads(FILES[name].read_text("utf-8")))


BOARDS = [board(name) for name in FILES]
TARGETS = {target.where: target for each in BOARDS for target in each.targets}
"""Every query of all of them, by where it stands."""
