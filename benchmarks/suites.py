"""Every case by its name, in the suites that measure them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.calls import WrongAnswer
from benchmarks.environments import PEERS, Peer, installed
from benchmarks.footprint import measure_memory, measure_start
from benchmarks.generated import measure_clients
from benchmarks.latency import LATENCY_CASES, measure_latencies
from benchmarks.load import Run
from benchmarks.rates import CASES, PROGRAMS, RateCase, measure_rates, try_service
from benchmarks.results import Result
from benchmarks.rows import measure_rows
from benchmarks.stage import Program, StageError

__all__ = ["SUITES", "Context", "Suite", "chosen_cases"]


@dataclass(slots=True, kw_only=True)
class Context(Run):
    """A run, and the other frameworks that take part in it.

    `versions` says of one that cannot take part why it is left out; `failures` tell of suites.
    """

    peers: dict[str, tuple[Peer, Program]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add_peers(self) -> None:
        """Install the other frameworks and try each: one that fails must not fail the others."""
        for name, peer in PEERS.items():
            self.say(f"installing {name}")
            try:
                program, versions = installed(peer, self.load.folder)
                try_service(name, program, peer.cases, self)
            except (RuntimeError, StageError, WrongAnswer) as error:
                self.versions[name] = f"left out: {error}"
            else:
                self.peers[name] = peer, program
                self.versions[name] = versions
            self.say(f"{name}: {self.versions[name]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Cases that are measured together."""

    names: tuple[str, ...]
    run: Callable[[Sequence[str], Context], list[Result]]

    def measure(self, names: Sequence[str], context: Context) -> list[Result]:
        """Measure those of its cases that are named; a failure loses no other suite."""
        chosen = [name for name in self.names if name in names]
        if not chosen:
            return []
        try:
            return self.run(chosen, context)
        except (StageError, WrongAnswer) as error:
            context.failures.append(f"{', '.join(chosen)}: {error}")
            return []


def _rates(names: Sequence[str], context: Context) -> list[Result]:
    others = {name: program for name, (_, program) in context.peers.items()}
    cases = [_with_peers(case, context) for case in CASES if case.name in names]
    return measure_rates(cases, {**PROGRAMS, **others}, context)


def _with_peers(case: RateCase, context: Context) -> RateCase:
    """Return a case that the other frameworks are measured in too, without a target."""
    names = [name for name, (peer, _) in context.peers.items() if case.name in peer.cases]
    return dataclasses.replace(case, targets={**case.targets, **dict.fromkeys(names)})


def _latencies(names: Sequence[str], context: Context) -> list[Result]:
    chosen = [case for case in LATENCY_CASES if case.name in names]
    return [result for case in chosen for result in measure_latencies(case, context)]


SUITES: tuple[Suite, ...] = (
    *(
        Suite(names=tuple(case.name for case in CASES if case.protocol == protocol), run=_rates)
        for protocol in dict.fromkeys(case.protocol for case in CASES)
    ),
    Suite(names=("generated client",), run=lambda _, context: measure_clients(context)),
    Suite(names=tuple(case.name for case in LATENCY_CASES), run=_latencies),
    Suite(names=("cost per row",), run=lambda _, context: measure_rows(context)),
    Suite(names=("memory",), run=lambda _, context: measure_memory(context)),
    Suite(names=("cold start",), run=lambda _, context: measure_start(context)),
)


def chosen_cases(parts: str) -> list[str]:
    """Return the names that contain one of the parts, which commas separate; all for ""."""
    names = [name for suite in SUITES for name in suite.names]
    wanted = [part.strip() for part in parts.split(",") if part.strip()]
    return [name for name in names if not wanted or any(part in name for part in wanted)]
