"""Tables for people, and the numbers in them for programs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from client import Result


@dataclass(slots=True)
class Table:
    """A section's rows; `numbers` has the same for `--json`."""

    title: str
    columns: Sequence[str]
    numbers: list[dict[str, float | str]] = field(default_factory=list)

    def begin(self) -> None:
        """Print all but the rows."""
        print(f"\n### {self.title}\n\n| | {' | '.join(self.columns)} |\n|{'---|' * (len(self.columns) + 1)}")

    def row(self, name: str, *cells: str, **numbers: float) -> None:
        """Print a row, and keep its numbers."""
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        self.numbers.append({"row": name, **numbers})


def middle(rounds: Iterable[Result], name: str) -> float:
    """Return the median of what the rounds have under this name."""
    return float(median(each[name] for each in rounds))


def spread(values: Iterable[float]) -> str:
    """Return how far apart the rounds are."""
    known = list(values)
    return f"x{max(known) / min(known):.2f}" if min(known) > 0 else "-"


def total(rounds: Iterable[Result], name: str) -> int:
    """Return the sum over the rounds."""
    return sum(round(float(each[name])) for each in rounds)


def milliseconds(rounds: Sequence[Result], kind: str, *shares: str) -> str:
    """Return some percentiles, `50`, `99` and `999`, of "push" or "event"."""
    return " / ".join(f"{middle(rounds, f'{kind}_p{share}_us') / 1000:.1f}" for share in shares)


def ratios(ours: Iterable[Result], bare: Iterable[Result], value: Callable[[Result], float]) -> float:
    """Return the median of each round's ratio to what was measured beside it."""
    return float(median(value(mine) / max(value(theirs), 1e-9) for mine, theirs in zip(ours, bare, strict=True)))
