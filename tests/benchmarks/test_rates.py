"""How the rounds of calls per second go, and what is said of their results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import rates
from benchmarks.load import Load, Measured, Run
from benchmarks.rates import PROGRAMS, RateCase, measure_rates
from benchmarks.results import Result
from benchmarks.stage import Program


class Machine:
    """Services that answer at once: who was started in each round, and who was asked in turn."""

    def __init__(self, found: Mapping[str, Measured]) -> None:
        self.found = found
        self.started: list[list[str]] = []
        self.asked: list[str] = []
        self.running: set[str] = set()

    @contextlib.contextmanager
    def services(self, programs: Mapping[str, Program], env: Any) -> Iterator[dict[str, str]]:
        del env
        assert not self.running
        self.running = set(programs)
        self.started.append(list(programs))
        yield {name: name for name in programs}
        self.running = set()

    def measure(self, call: Any, protocol: str, service: str) -> Measured:
        del call, protocol
        assert service in self.running
        self.asked.append(service)
        return self.found[service]


def results_of(
    case: RateCase, machine: Machine, monkeypatch: pytest.MonkeyPatch, rounds: int = 1
) -> list[Result]:
    monkeypatch.setattr(rates, "services", machine.services)
    monkeypatch.setattr(rates, "check", lambda *_: None)
    monkeypatch.setattr(rates, "_clean", lambda _: None)
    monkeypatch.setattr(Load, "measure", lambda _, *arguments: machine.measure(*arguments))
    load = Load(folder=Path(), messages=None, seconds=1)
    run = Run(load=load, rounds=rounds, env={}, say=lambda _: None)
    return measure_rates([case], PROGRAMS, run)


def measured(rate: float, cpu: float, besides: float = 50.0) -> Measured:
    return Measured(calls_per_second=rate, cpu_us_per_call=cpu, besides_us_per_call=besides)


def test_each_round_starts_every_service_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    case = RateCase(name="a", call="get", protocol="REST", targets={"limit, REST": 0.7})
    machine = Machine({"bali": measured(300, 90), "limit, REST": measured(200, 120)})
    (result,) = results_of(case, machine, monkeypatch, rounds=3)
    assert machine.started == [["bali", "limit, REST"]] * 3
    # Each round begins with another one.
    assert machine.asked == ["bali", "limit, REST", "limit, REST", "bali", "bali", "limit, REST"]
    assert result.ratio == 1.5
    assert result.note == "CPU 90 and 120 us a call"
    assert result.details["ours"]["besides_us_per_call"] == [50.0] * 3


def test_services_that_are_alike_take_short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"bali, 100 resources": measured(300, 90), "bali": measured(200, 120)}
    machine = Machine(found)

    def in_turns(load: Load, call: Any, protocol: str, services: list[str]) -> list[Measured]:
        del load, call, protocol
        machine.asked.append("+".join(services))
        return [found[service] for service in services]

    monkeypatch.setattr(rates, "measure_in_turns", in_turns)
    case = RateCase(
        name="a", call="get", protocol="REST", ours="bali, 100 resources",
        targets={"bali": 0.95}, is_alike=True,
    )  # fmt: skip
    (result,) = results_of(case, machine, monkeypatch, rounds=2)
    assert machine.asked == ["bali, 100 resources+bali", "bali+bali, 100 resources"]
    assert result.ratio == 1.5


def test_workers_that_share_their_cores_are_told_the_most_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two cores, 300 us of 400 are for the workers."""
    case = RateCase(
        name="a", call="get", protocol="REST", targets={"bali": None}, ours="bali, 2 workers",
        cores=2,
    )  # fmt: skip
    found = {"bali, 2 workers": measured(450, 310), "bali": measured(330, 300, besides=100)}
    (result,) = results_of(case, Machine(found), monkeypatch)
    assert result.note == "CPU 310 and 300 us a call, 100 us besides: about 1.50 at most"
