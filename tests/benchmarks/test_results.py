"""Results: medians, spreads, targets, and how they are shown."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.results import Result, compared, missed, table, write_plot
from benchmarks.rows import cost_per_row


def result(ratio: float, **options: Any) -> Result:
    """Return a result with one ratio."""
    return compared("case", "other", "calls/s", [ratio], [1.0], **options)


def test_medians_are_compared_and_rounds_give_the_spread() -> None:
    found = compared("a", "b", "us", [1.0, 4.0, 9.0], [2.0, 2.0, 3.0])
    assert (found.ours, found.other, found.ratio) == (4.0, 2.0, 2.0)
    # A round in which the machine is fast is so for both.
    assert compared("a", "b", "us", [1.0, 9.0, 20.0], [1.0, 10.0, 2.0]).ratio == 1.0
    assert (found.low, found.high) == (0.5, 3.0)


def test_series_of_different_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        compared("a", "b", "us", [1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("ratio", "options", "is_met"),
    [
        (0.8, {"target": 0.8}, True),
        (0.79, {"target": 0.8}, False),
        (1.25, {"target": 1.25, "is_at_most": True}, True),
        (1.26, {"target": 1.25, "is_at_most": True}, False),
        (0.1, {}, True),
    ],
)
def test_targets_bound_the_ratio(ratio: float, options: dict[str, Any], is_met: bool) -> None:
    found = result(ratio, **options)
    assert found.is_met is is_met
    assert bool(missed([found])) is not is_met


def test_the_table_shows_ratio_spread_target_and_verdict() -> None:
    console = Console(width=150, record=True, file=None)
    with console.capture() as captured:
        console.print(table([result(2.0, target=2.2), result(3.0, target=2.2), result(1.0)]))
    lines = captured.get().splitlines()
    rows = [line for line in lines if "other" in line and "│" in line]
    assert len(rows) == 3
    assert "2.00-2.00" in rows[0]
    assert "at least 2.20" in rows[0]
    assert "MISSED" in rows[0]
    assert "ok" in rows[1]
    assert "MISSED" not in rows[2]


def test_a_plot_is_written_where_matplotlib_is(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    has_matplotlib = importlib.util.find_spec("matplotlib") is not None
    assert write_plot(path, [result(2.0, target=2.2), result(1.0)]) is has_matplotlib
    assert path.exists() is has_matplotlib


def test_the_cost_of_a_row_is_what_more_rows_add() -> None:
    assert cost_per_row({20: [100.0, 200.0], 100: [260.0, 280.0]}, 20, 100) == [2.0, 1.0]
