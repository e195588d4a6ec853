"""What was measured, as records: the table, the JSON, the plot and the missed targets."""

from __future__ import annotations

import dataclasses
import importlib
import json
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["Result", "compared", "console", "missed", "table", "write_json", "write_plot"]

#: Where no terminal tells its width, tables are as wide as their text.
console = Console(width=None if sys.stdout.isatty() else 150)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """bali's median beside another one; `target` bounds the ratio, None when there is none.

    `ratio` is the median of what each round found, bali's value by the other's. The target is the
    least that it may be where more is better, and the most where less is (`is_at_most`). `low` and
    `high` are the least and the greatest ratio of a single round.
    """

    case: str
    against: str
    unit: str
    ours: float
    other: float
    ratio: float
    low: float
    high: float
    target: float | None = None
    is_at_most: bool = False
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """Whether the target is reached; without one it is."""
        if self.target is None:
            return True
        return self.ratio <= self.target if self.is_at_most else self.ratio >= self.target

    @property
    def wanted(self) -> str:
        """The target in words."""
        if self.target is None:
            return "-"
        return f"{'at most' if self.is_at_most else 'at least'} {self.target:.2f}"


def compared(
    case: str, against: str, unit: str, ours: Sequence[float], other: Sequence[float],
    **options: Any,
) -> Result:  # fmt: skip
    """Return the result of two series that were measured in turn, round by round.

    The machine is faster in one round than in another, for both: only their ratios are compared.
    """
    each = [mine / theirs for mine, theirs in zip(ours, other, strict=True)]
    return Result(
        case=case, against=against, unit=unit, ours=statistics.median(ours),
        other=statistics.median(other), ratio=statistics.median(each), low=min(each),
        high=max(each), **options,
    )  # fmt: skip


def table(results: Sequence[Result]) -> Table:
    """Return the table of all results."""
    found = Table(title="bali against others: medians, and the median of the ratios of each round")
    for name in ("case", "against", "unit", "bali", "other", "ratio", "spread", "target", "", ""):
        found.add_column(name, justify="right" if name in _NUMBERS else "left")
    previous = ""
    for item in results:
        if previous and item.case != previous:
            found.add_section()
        verdict = "" if item.target is None else "ok" if item.is_met else "[bold red]MISSED[/]"
        found.add_row(
            item.case if item.case != previous else "", item.against, item.unit,
            _number(item.ours), _number(item.other), f"{item.ratio:.2f}",
            f"{item.low:.2f}-{item.high:.2f}", item.wanted, verdict, item.note,
        )  # fmt: skip
        previous = item.case
    return found


def missed(results: Sequence[Result]) -> list[str]:
    """Return a line for each target that is missed."""
    return [
        f"{item.case} against {item.against}: {item.ratio:.2f}, wanted {item.wanted}"
        for item in results
        if not item.is_met
    ]


def write_json(
    path: Path, results: Sequence[Result], options: Mapping[str, Any], versions: Mapping[str, Any]
) -> None:
    """Write the results, with what they were measured with."""
    content = {
        "machine": {"python": platform.python_version(), "system": platform.platform()},
        "options": options,
        "versions": versions,
        "missed": missed(results),
        "results": [{**dataclasses.asdict(item), "is_met": item.is_met} for item in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))


def write_plot(path: Path, results: Sequence[Result]) -> bool:
    """Draw the ratios with their spread and targets; tell whether matplotlib was there to do it."""
    try:
        importlib.import_module("matplotlib").use("Agg")
        plots: Any = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        return False
    figure, axes = plots.subplots(figsize=(10, 1.5 + 0.32 * len(results)))
    for place, item in enumerate(results):
        color = "tab:gray" if item.target is None else "tab:green" if item.is_met else "tab:red"
        spread = [[max(item.ratio - item.low, 0)], [max(item.high - item.ratio, 0)]]
        axes.barh(place, item.ratio, xerr=spread, color=color, error_kw={"linewidth": 0.8})
        if item.target is not None:
            axes.plot([item.target] * 2, [place - 0.45, place + 0.45], color="black")
    axes.set_yticks(range(len(results)), [f"{item.case}, {item.against}" for item in results])
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.axvline(1.0, color="black", linewidth=0.6, linestyle=":")
    axes.set_xlabel("bali by the other; a black line is the target")
    axes.set_title("bali against others (green: target met, red: missed, gray: no target)")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plots.close(figure)
    return True


_NUMBERS = {"bali", "other", "ratio", "spread", "target"}


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
