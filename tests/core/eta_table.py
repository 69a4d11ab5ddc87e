"""How wrong the two estimates are on simulated runs, as docs/design/eta.md shows it: python -m tests.core.eta_table."""

import sys
from random import Random
from statistics import median, quantiles

from tests.core.runs import SHAPES, Shape, guesses, past

SHARES = (0.25, 0.5, 0.75)
RUNS = 200


def errors(shape: Shape, *, is_learnt: bool, seed: int = 1, runs: int = RUNS) -> list[list[float]]:
    """Return how wrong the estimates were (as a share of what was left) at each of the shares, run by run."""
    chance = Random(seed)  # noqa: S311 - a simulation
    learnt = past(shape, chance)
    found: list[list[float]] = [[] for _ in SHARES]
    for _ in range(runs):
        for column, guess in zip(
            found, guesses(shape(chance), learnt if is_learnt else (), chance, SHARES), strict=True
        ):
            column.append(1.0 if guess.seconds is None else abs(guess.seconds - guess.actual) / guess.actual)
    return found


def main() -> None:
    """Print the table."""
    sys.stdout.write("| runs | estimate | 25 % | 50 % | 75 % |\n|---|---|---|---|---|\n")
    for shape in SHAPES:
        for is_learnt in (False, True):
            cells = [
                f"{median(column):.0%} ({quantiles(column, n=10)[-1]:.0%})"
                for column in errors(shape, is_learnt=is_learnt)
            ]
            name = "history" if is_learnt else "moving average"
            sys.stdout.write(f"| {shape.__name__.replace('_', ' ')} | {name} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
