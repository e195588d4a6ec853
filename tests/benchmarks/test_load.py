"""What the tools of the load are told, and how their words are read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.calls import CALLS
from benchmarks.load import Generator, Load, _check_h2load, _latencies, percentile, wrk_script
from benchmarks.stage import StageError

OUTPUT = """finished in 1.00s, 10.00 req/s, 1KB/s
requests: 10 total, 10 started, 10 done, {good} succeeded, {failed} failed, 0 errored, 0 timeout
status codes: {good} 2xx, 0 3xx, 0 4xx, {failed} 5xx
traffic: 1KB (1000) total, 500B (500) headers (space savings 90.00%), {data}B ({data}) data
"""


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.991, 100), (0.0, 1)]
)
def test_percentiles_are_of_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile(range(1, 101), share) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(StageError):
        percentile([], 0.5)


def test_wrk_gets_every_row_and_the_body() -> None:
    script = wrk_script(CALLS["update"], "REST", None)
    assert 'wrk.method = "PATCH"' in script
    assert "application/json" in script
    assert script.count("wrk.format(") == 1000
    assert '"/users/1001"' in script
    assert '"/users/2000"' in script
    assert "\\123\\034" in script  # `{"`


def test_a_get_has_no_body() -> None:
    script = wrk_script(CALLS["get"], "REST", None)
    assert 'wrk.format(nil, "/users/7", nil, nil)' in script


def test_wrk_waits_as_long_as_a_slow_service_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it takes an answer that comes after two seconds for a failure."""
    commands: list[tuple[str, ...]] = []

    def run(*command: str) -> str:
        commands.append(command)
        return "5 requests in 1.00s, 1KB read\nRequests/sec:      5.00\n"

    monkeypatch.setattr("benchmarks.load._output", run)
    load = Load(folder=tmp_path, messages=None, seconds=1)
    service: Any = SimpleNamespace(name="slow", port=8000, paths={})
    assert load.generator(CALLS["get"], "REST", service, 1).run() == (5, 5.0)
    assert "--timeout=60s" in commands[0]


def test_answers_of_the_right_size_pass() -> None:
    _check_h2load(OUTPUT.format(good=10, failed=0, data=500), 50)


@pytest.mark.parametrize(
    ("good", "failed", "data"), [(9, 1, 500), (10, 0, 0), (10, 0, 450)], ids=str
)
def test_failures_and_grpc_errors_are_refused(good: int, failed: int, data: int) -> None:
    with pytest.raises(StageError):
        _check_h2load(OUTPUT.format(good=good, failed=failed, data=data), 50)


def test_a_service_that_ends_no_call_is_named_instead_of_divided_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Load(folder=tmp_path, messages=None, seconds=1)
    monkeypatch.setattr(Generator, "run", lambda _: (0, 0.0))
    service: Any = SimpleNamespace(name="by hand, REST", cpu_seconds=float, port=1, paths={})
    with pytest.raises(StageError, match=r"by hand, REST ended no call within 1 s.*--seconds"):
        load.measure(CALLS["list(1000)"], "REST", service)


def test_what_the_rest_of_the_machine_does_is_measured_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that used 2 of the 3 seconds, in ten calls."""
    used, busy = iter((5.0, 7.0)), iter((100.0, 103.0))
    monkeypatch.setattr(Generator, "run", lambda _: (10, 4.0))
    monkeypatch.setattr("benchmarks.load.busy_seconds", lambda: next(busy))
    service: Any = SimpleNamespace(name="slow", cpu_seconds=lambda: next(used), port=1, paths={})
    load = Load(folder=tmp_path, messages=None, seconds=1)
    found = load.measure(CALLS["get"], "REST", service)
    assert found.calls_per_second == 4.0
    assert found.cpu_us_per_call == pytest.approx(200_000)
    assert found.besides_us_per_call == pytest.approx(100_000)


def test_calls_of_the_warm_up_do_not_count() -> None:
    log = "1700000000000000\t200\t900\n1700000000999999\t200\t800\n1700000001000000\t200\t70\n"
    assert _latencies(log) == [70]
    assert _latencies("") == []
