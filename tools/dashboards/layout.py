"""Where panels stand: rows of lines on Grafana's grid of 24 columns."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.models import dashboard as model

COLUMNS = 24
IDS_PER_ROW = 100


class Line(NamedTuple):
    """Panels side by side, of one height, and as wide as is said or else alike."""

    height: int
    panels: Sequence[model.Panel]
    widths: Sequence[int] = ()


class Row(NamedTuple):
    """A heading and what stands below it."""

    title: str
    lines: Sequence[Line]


def placed(rows: Sequence[Row]) -> list[model.Panel | model.RowPanel]:
    """Return the panels of all rows, each with its id and place.

    Ids follow from the row, so that a panel added to the end of one leaves the others', and links to them, as they are.
    """
    y, found = 0, list[model.Panel | model.RowPanel]()
    for number, row in enumerate(rows, start=1):
        first = number * IDS_PER_ROW
        place = model.GridPos(h=1, w=COLUMNS, x=0, y=y)
        found.append(model.RowPanel(title=row.title, id_val=first, grid_pos=place))
        found += _lines(row.lines, first + 1, y + 1)
        y += 1 + sum(line.height for line in row.lines)
    return found


def _lines(lines: Sequence[Line], first_id: int, y: int) -> Iterator[model.Panel]:
    number = first_id
    for line in lines:
        x = 0
        widths = line.widths or [COLUMNS // len(line.panels)] * len(line.panels)
        for panel, width in zip(line.panels, widths, strict=True):
            panel.id_val, panel.grid_pos = number, model.GridPos(h=line.height, w=width, x=x, y=y)
            number, x = number + 1, x + width
            yield panel
        y += line.height
