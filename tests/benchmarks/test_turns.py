"""Load in turns: one service is called at a time, and only what a turn has made is counted."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks import turns
from benchmarks.calls import CALLS
from benchmarks.load import REST_CONNECTIONS, Generator, Load, Measured
from benchmarks.stage import StageError
from benchmarks.turns import measure_in_turns
from tests.waiting import until

SECONDS = 0.5
TURNS = 5
#: Tells the time over and over in a file, until there is one that is called `over`.
TICKS = """
import pathlib, sys, time
path = pathlib.Path(sys.argv[1])
with path.open("a", buffering=1) as file:
    while float(sys.argv[2]) > 1 and not path.with_name("over").exists():
        file.write(f"{time.monotonic()}\\n")
        time.sleep(0.005)
print(sys.argv[3])
"""


class Tool(Load):
    """Load whose tool tells when it has run, and that it has made so many calls."""

    __slots__ = ()

    def generator(self, call: Any, protocol: str, service: Any, seconds: float) -> Generator:
        del call, protocol
        arguments = (str(self.folder / service.name), str(seconds), str(service.calls))

        def read(outputs: Sequence[str]) -> tuple[int, float]:
            return sum(map(int, outputs)), 0.0

        command = (sys.executable, "-c", service.program, *arguments)
        return Generator(commands=(command,) * service.tools, read=read)


class Called:
    """A service that uses a second of the processor between two looks."""

    def __init__(self, name: str, calls: int = 1000, program: str = TICKS, tools: int = 1) -> None:
        self.name, self.calls, self.program, self.tools = name, calls, program, tools
        self.used = 0.0

    def cpu_seconds(self) -> float:
        self.used += 1
        return self.used


@pytest.fixture(autouse=True)
def over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """End the load when its time would be over, however long the turns have taken."""
    path = tmp_path / "over"
    monkeypatch.setattr(turns, "_wait_until", lambda _: path.touch())
    return path


def measure(folder: Path, *services: Any) -> list[Measured]:
    load = Tool(folder=folder, messages=None, seconds=SECONDS)
    return measure_in_turns(load, CALLS["get"], "REST", services)


def changes(folder: Path, *names: str, since: float) -> int:
    """Count how often another one than before made load."""
    ticks = sorted(
        (float(line), name)
        for name in names
        if (folder / name).exists()
        for line in (folder / name).read_text().splitlines(keepends=True)
        if line.endswith("\n") and float(line) > since
    )
    return sum(one != other for (_, one), (_, other) in pairwise(ticks))


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each turn began."""
    found: list[float] = []
    take_turn = turns._Paused.take_turn

    def recorded(self: Any) -> None:
        found.append(time.monotonic())
        take_turn(self)

    monkeypatch.setattr(turns._Paused, "take_turn", recorded)
    return found


def test_one_is_called_at_a_time(tmp_path: Path, begun: list[float]) -> None:
    measure(tmp_path, Called("a", tools=2), Called("b"))
    assert len(begun) == 2 * TURNS
    assert changes(tmp_path, "a", "b", since=begun[0]) <= 2 * TURNS


def test_without_pauses_both_are_called_at_all_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: list[float], over: Path
) -> None:
    """The negative control of the one before."""

    def end(_: float) -> None:
        until(
            lambda: changes(tmp_path, "a", "b", since=begun[0]) > 2 * TURNS,
            "one is called while the other one is",
        )
        over.touch()

    monkeypatch.setattr(turns._Paused, "_signal", lambda *_: None)
    monkeypatch.setattr(turns, "_wait_until", end)
    measure(tmp_path, Called("a", tools=2), Called("b"))


def test_calls_that_are_under_way_in_a_pause_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.perf_counter", count().__next__)
    (found,) = measure(tmp_path, Called("a", calls=1000))
    # A second for each turn by that clock, and one for the end.
    assert found.calls_per_second == (1000 - TURNS * REST_CONNECTIONS) / (TURNS + 1)
    assert found.cpu_us_per_call == pytest.approx(1000)


def test_a_service_that_ends_no_call_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="slow ended no call"):
        measure(tmp_path, Called("slow", calls=TURNS * REST_CONNECTIONS))


def test_a_tool_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    program = "import sys\nif float(sys.argv[2]) > 1: sys.exit('no such host')\nprint(5)"
    with pytest.raises(StageError, match=r"broken: its load .+:\nno such host"):
        measure(tmp_path, Called("a"), Called("broken", program=program))
