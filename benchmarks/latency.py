"""How long the slowest calls take when a service is busy, but not at its limit."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.calls import CALLS, check
from benchmarks.load import Run, percentile
from benchmarks.rates import PROGRAMS
from benchmarks.results import Result, compared
from benchmarks.stage import services

__all__ = ["LATENCY_CASES", "LatencyCase", "measure_latencies"]

SHARE_OF_PEAK = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyCase:
    """One call at 70 % of what the service by hand can do at most, for both alike."""

    name: str
    call: str
    protocol: str


LATENCY_CASES = tuple(
    LatencyCase(name=f"p99 {protocol} {call}", call=call, protocol=protocol)
    for protocol in ("gRPC", "REST")
    for call in ("get", "list(20)")
)


def measure_latencies(case: LatencyCase, run: Run) -> list[Result]:
    """Find the peaks, then measure at the same rate; bali also at 70 % of its own peak.

    Each round has services that have just begun, since no two processes of one are equally fast.
    """
    call, hand = CALLS[case.call], f"by hand, {case.protocol}"
    programs = {name: PROGRAMS[name] for name in ("bali", hand)}
    with services(programs, run.env) as running:
        for service in running.values():
            check(call, case.protocol, service, run.load.messages)
        peaks = {
            name: statistics.median(
                run.load.measure(call, case.protocol, service).calls_per_second for _ in range(3)
            )
            for name, service in running.items()
        }
    rate, own_rate = peaks[hand] * SHARE_OF_PEAK, peaks["bali"] * SHARE_OF_PEAK
    found: dict[str, list[float]] = {"bali": [], hand: [], "own": []}
    for _ in run.numbers(case.name):
        with services(programs, run.env) as running:
            for name, service, at in (
                ("bali", running["bali"], rate),
                (hand, running[hand], rate),
                ("own", running["bali"], own_rate),
            ):
                latencies = run.load.latencies(call, case.protocol, service, at)
                found[name].append(percentile(latencies, 0.99) / 1000)
    details = {"rate": rate, "own_rate": own_rate, "p99_ms": found}
    at_rate = compared(
        case.name, hand, "ms", found["bali"], found[hand],
        target=1.0, is_at_most=True, note=f"at {rate:,.0f} calls/s", details=details,
    )  # fmt: skip
    at_own = compared(
        case.name, f"{hand}, bali at 70 % of its own peak", "ms", found["own"], found[hand],
        is_at_most=True, note=f"at {own_rate:,.0f} and {rate:,.0f} calls/s",
    )  # fmt: skip
    return [at_rate, at_own]
