"""What one more row of a list costs, from 20 rows to 1,000."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.calls import CALLS, check
from benchmarks.load import Run
from benchmarks.rates import PROGRAMS
from benchmarks.results import Result
from benchmarks.stage import services

__all__ = ["SIZES", "cost_per_row", "measure_rows"]

SIZES = (20, 100, 300, 1000)
#: How much more a row of a long list may cost than one of a short list.
MOST_GROWTH = 1.25
#: Long enough for a slow service to end several calls of many rows on each connection.
LEAST_SECONDS = 3


def cost_per_row(costs: Mapping[int, Sequence[float]], few: int, many: int) -> list[float]:
    """Return what each row between two sizes adds, round by round."""
    pairs = zip(costs[few], costs[many], strict=True)
    return [(more - less) / (many - few) for less, more in pairs]


def measure_rows(run: Run) -> list[Result]:
    """Compare the cost of a row among the last ones with one among the first, by CPU time."""
    results = []
    load = dataclasses.replace(run.load, seconds=max(run.load.seconds, LEAST_SECONDS))
    for protocol in ("gRPC", "REST"):
        names = ("bali", f"by hand, {protocol}")
        found: dict[str, dict[int, list[float]]] = {
            name: {size: [] for size in SIZES} for name in names
        }
        with services({name: PROGRAMS[name] for name in names}, run.env) as running:
            for _ in run.numbers(f"rows, {protocol}"):
                for name, service in running.items():
                    for size in SIZES:
                        call = CALLS[f"list({size})"]
                        check(call, protocol, service, run.load.messages)
                        measured = load.measure(call, protocol, service)
                        found[name][size].append(measured.cpu_us_per_call)
        results += _results(protocol, found)
    return results


def _results(protocol: str, found: dict[str, dict[int, list[float]]]) -> list[Result]:
    hand = f"by hand, {protocol}"
    first, middle, last = SIZES[0], SIZES[-2], SIZES[-1]
    ours = found["bali"]
    late = cost_per_row(ours, middle, last)
    early = cost_per_row(ours, first, middle)
    theirs = cost_per_row(found[hand], first, last)
    whole = cost_per_row(ours, first, last)
    case, details = f"cost per row, {protocol}", {"cpu_us_per_call": found}
    return [
        _result(
            case, f"itself: rows to {last} by rows to {middle}", late, early,
            target=MOST_GROWTH, is_at_most=True, details=details,
        ),
        _result(case, hand, whole, theirs, is_at_most=True),
    ]  # fmt: skip


def _result(
    case: str, against: str, ours: Sequence[float], other: Sequence[float],
    *, target: float | None = None, is_at_most: bool, details: Mapping[str, Any] | None = None,
) -> Result:  # fmt: skip
    """Compare medians; the difference of two noisy numbers has no ratio in a single round."""
    mine, theirs = statistics.median(ours), statistics.median(other)
    ratio = mine / theirs if theirs else float("inf")
    return Result(
        case=case, against=against, unit="CPU us", ours=mine, other=theirs, ratio=ratio,
        low=min(ours) / theirs if theirs else ratio, high=max(ours) / theirs if theirs else ratio,
        target=target, is_at_most=is_at_most, details=details or {},
    )  # fmt: skip
