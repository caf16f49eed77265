"""The table that `make bench` prints: a row for each figure, with its spread and what must be reached."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

NAME_WIDTH = 50


@dataclass(frozen=True)
class Goal:
    """What a figure must reach, and what it should reach."""

    must: float
    aim: float | None = None
    higher_is_better: bool = False

    def is_met(self, value: float, bound: float) -> bool:
        return value >= bound if self.higher_is_better else value <= bound

    def verdict(self, value: float) -> str:
        """`MISSED`, `must` or `aim`: the most that the value reaches."""
        if not self.is_met(value, self.must):
            return "MISSED"
        return "aim" if self.aim is not None and self.is_met(value, self.aim) else "must"


@dataclass(frozen=True)
class Unit:
    """How the values of a figure are written."""

    name: str
    digits: int

    def format(self, value: float) -> str:
        return f"{value:.{self.digits}f}{f' {self.name}' if self.name else ''}"


RATIO = Unit("", 2)
PER_SECOND = Unit("/s", 0)
MILLISECONDS = Unit("ms", 1)
MICROSECONDS = Unit("µs", 0)
SECONDS = Unit("s", 2)
MEGABYTES = Unit("MB", 0)
COUNT = Unit("", 0)


class Table:
    """Prints each figure as soon as it is measured, and counts the goals."""

    def __init__(self) -> None:
        self._verdicts: list[str] = []
        self._print("figure", "value", "spread", "must", "aim", "reached")

    def add(self, figure: str, values: Sequence[float], unit: Unit, goal: Goal | None = None) -> None:
        """The median of the rounds' values, with the least and the greatest of them."""
        self.add_one(figure, statistics.median(values), unit, goal, spread=values)

    def add_one(
        self, figure: str, value: float, unit: Unit, goal: Goal | None = None, *, spread: Sequence[float] = ()
    ) -> None:
        """A value that is no median, with the least and the greatest of what it was taken from."""
        sign = "≥" if goal is not None and goal.higher_is_better else "≤"
        must, aim = (goal.must, goal.aim) if goal is not None else (None, None)
        verdict = goal.verdict(value) if goal is not None else ""
        if verdict:
            self._verdicts.append(verdict)
        self._print(
            figure,
            unit.format(value),
            f"{min(spread):.{unit.digits}f} – {max(spread):.{unit.digits}f}" if len(spread) > 1 else "",
            "" if must is None else f"{sign} {unit.format(must)}",
            "" if aim is None else f"{sign} {unit.format(aim)}",
            verdict,
        )

    def add_heading(self, heading: str) -> None:
        print(f"\n{heading}", flush=True)

    def print_summary(self) -> None:
        missed = self._verdicts.count("MISSED")
        print(f"\n{len(self._verdicts)} figures must reach something: {missed} missed it.")

    @staticmethod
    def _print(figure: str, value: str, spread: str, must: str, aim: str, reached: str) -> None:
        line = f"{figure:<{NAME_WIDTH}}{value:>12}{spread:>20}{must:>12}{aim:>12}  {reached}"
        print(line.rstrip(), flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]
