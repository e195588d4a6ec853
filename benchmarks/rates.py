"""The cases of calls per second: which services answer each of them, and by how much bali leads."""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.calls import CALLS, check
from benchmarks.load import Load, Measured, Run
from benchmarks.results import Result, compared
from benchmarks.stage import ROWS, Program, Service, execute, service, services
from benchmarks.turns import measure_in_turns

__all__ = ["CASES", "PROGRAMS", "RateCase", "measure_rates", "try_service"]

PROGRAMS: Mapping[str, Program] = {
    "bali": Program.of("ours"),
    "bali, REST on a port of its own": Program.of("ours", "--http"),
    "bali, gRPC on a port of its own": Program.of("own_port"),
    "bali, threads not in batches": Program.of(
        "ours", variables={"BALI_BATCH_SCHEDULING": "false"}
    ),
    "bali, 100 resources": Program.of("many"),
    "bali, 2 workers": Program.of("ours", "--workers", "2", cores=(0, 1), workers=2),
    "by hand, REST": Program.of("hand_rest"),
    "by hand, gRPC": Program.of("hand_rpc"),
    "limit, REST": Program.of("limit_rest"),
    "limit, gRPC": Program.of("limit_rpc"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCase:
    """One call on one protocol; `targets` are the least ratios to the other services.

    `ours` is the service that is compared, bali on one port unless said otherwise. `cores` is how
    many of them it shares with load and database, 0 when it has one for itself. Services that are
    alike (`is_alike`) do nearly the same, and take turns that are short.
    """

    name: str
    call: str
    protocol: str
    targets: Mapping[str, float | None]
    ours: str = "bali"
    cores: int = 0
    is_alike: bool = False

    @property
    def variants(self) -> tuple[str, ...]:
        """Every service that answers, ours first."""
        return (self.ours, *self.targets)


def _against(protocol: str, hand: float, limit: float) -> dict[str, float | None]:
    return {f"by hand, {protocol}": hand, f"limit, {protocol}": limit}


def _all_cases() -> tuple[RateCase, ...]:
    found = []
    hand = {
        "gRPC": {"get": 2.2, "list(20)": 2.3, "list(100)": 2.3, "create": 1.5, "update": 1.5},
        "REST": {"get": 4.0, "list(20)": 4.5, "list(100)": 5.5, "create": 1.5, "update": 1.5},
    }
    for protocol, limit, constant in (("gRPC", 0.8, 0.85), ("REST", 0.7, 0.7)):
        own = f"bali, {protocol} on a port of its own"
        for call, least in hand[protocol].items():
            targets = _against(protocol, least, limit)
            found.append(
                RateCase(name=f"{protocol} {call}", call=call, protocol=protocol, targets=targets)
            )
        found += [
            RateCase(
                name=f"{protocol} {call} on one port", call=call, protocol=protocol,
                targets={own: 0.95}, is_alike=True,
            )
            for call in ("get", "list(20)")
        ]  # fmt: skip
        found.append(
            RateCase(
                name=f"{protocol} constant action", call="constant action", protocol=protocol,
                targets={f"limit, {protocol}": constant},
            )
        )  # fmt: skip
        # Load and database share the cores of two workers: a call that is quick, or much work for
        # the database, shows how little they leave, and not how the workers share.
        found += [
            RateCase(
                name=f"{protocol} {call} by 2 workers", call=call, protocol=protocol,
                ours="bali, 2 workers", targets={"bali": least}, cores=2,
            )
            for call, least in (
                ("work action", 1.7), ("constant action", None), ("get", None), ("list(100)", None),
            )
        ]  # fmt: skip
        found.append(
            RateCase(
                name=f"{protocol} get among 100 resources", call="get", protocol=protocol,
                ours="bali, 100 resources", targets={"bali": 0.95}, is_alike=True,
            )
        )  # fmt: skip
    found.append(
        RateCase(
            name="gRPC get in batches", call="get", protocol="gRPC",
            targets={"bali, threads not in batches": None}, is_alike=True,
        )
    )  # fmt: skip
    # The protocol of connectrpc, which peers alone are compared on.
    found += [
        RateCase(name=f"Connect {call}", call=call, protocol="Connect", targets={})
        for call in ("get", "list(20)")
    ]
    return tuple(found)


CASES = _all_cases()


@dataclass(slots=True, kw_only=True)
class _Series:
    """What the rounds of one case found, by service."""

    case: RateCase
    found: dict[str, list[Measured]] = field(default_factory=dict)

    def results(self) -> list[Result]:
        return [
            compared(
                self.case.name,
                other,
                "calls/s",
                self._rates(self.case.ours),
                self._rates(other),
                target=target,
                note=self._note(other),
                details={"ours": self._details(self.case.ours), "other": self._details(other)},
            )
            for other, target in self.case.targets.items()
        ]

    def _rates(self, name: str) -> list[float]:
        return [item.calls_per_second for item in self.found[name]]

    def _cpu(self, name: str) -> float:
        return statistics.median(item.cpu_us_per_call for item in self.found[name])

    def _note(self, other: str) -> str:
        cpu = self._cpu(other)
        note = f"CPU {self._cpu(self.case.ours):.0f} and {cpu:.0f} us a call"
        if not self.case.cores:
            return note
        besides = statistics.median(item.besides_us_per_call for item in self.found[other])
        most = self.case.cores * cpu / (cpu + besides)
        return f"{note}, {besides:.0f} us besides: about {most:.2f} at most"

    def _details(self, name: str) -> dict[str, list[float]]:
        fields = [field.name for field in dataclasses.fields(Measured)]
        return {field: [getattr(item, field) for item in self.found[name]] for field in fields}


def measure_rates(
    cases: Sequence[RateCase], programs: Mapping[str, Program], run: Run
) -> list[Result]:
    """Measure cases in turn, protocol by protocol, so that few services wait beside each other.

    Each round starts every service anew, so that what befalls one process decides nothing.
    """
    results: list[Result] = []
    comparable = [case for case in cases if case.targets]
    for protocol in dict.fromkeys(case.protocol for case in comparable):
        chosen = [_Series(case=case) for case in comparable if case.protocol == protocol]
        needed = dict.fromkeys(name for item in chosen for name in item.case.variants)
        for number in run.numbers(protocol):
            with services({name: programs[name] for name in needed}, run.env) as running:
                _check_all(chosen, running, run.load)
                for item in chosen:
                    _round(item, number, running, run.load)
                _clean(run.env)
                _check_all(chosen, running, run.load)
        results += [result for item in chosen for result in item.results()]
    return results


def try_service(name: str, program: Program, names: Sequence[str], run: Run) -> None:
    """Start a service and check its answers in the cases of these names.

    Raises `StageError` when it does not start, and `WrongAnswer`.
    """
    with service(name, program, run.env) as running:
        for case in CASES:
            if case.name in names:
                check(CALLS[case.call], case.protocol, running, run.load.messages)
    _clean(run.env)


def _clean(env: Mapping[str, str]) -> None:
    """Remove the rows that calls have made."""
    asyncio.run(execute(env["DATABASE_URL"], f"DELETE FROM bench_users WHERE id > {ROWS}"))


def _round(item: _Series, number: int, running: Mapping[str, Service], load: Load) -> None:
    """Measure every service once; each round begins with another one."""
    case, call = item.case, CALLS[item.case.call]
    start = number % len(case.variants)
    names = (*case.variants[start:], *case.variants[:start])
    each = [running[name] for name in names]
    measured = (
        measure_in_turns(load, call, case.protocol, each)
        if case.is_alike
        else [load.measure(call, case.protocol, service) for service in each]
    )
    for name, found in zip(names, measured, strict=True):
        item.found.setdefault(name, []).append(found)


def _check_all(chosen: Sequence[_Series], running: Mapping[str, Service], load: Load) -> None:
    for item in chosen:
        for name in item.case.variants:
            check(CALLS[item.case.call], item.case.protocol, running[name], load.messages)
