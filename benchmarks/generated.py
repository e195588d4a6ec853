"""The generated client against a bare stub, measured by `benchmarks.clients` in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.clients import TARGET
from benchmarks.load import Run
from benchmarks.results import Result, compared
from benchmarks.stage import ROOT, StageError

__all__ = ["measure_clients"]

CALLS = 2000


def measure_clients(run: Run, calls: int = CALLS) -> list[Result]:
    """Compare the generated clients, sync and async, with stubs on a shared channel."""
    run.say(f"generated client: {run.rounds} rounds of {calls} calls")
    path = Path(run.env["BENCH_STUBS"]) / "clients.json"
    command = (sys.executable, "-m", "benchmarks.clients", "--json", str(path))
    done = subprocess.run(
        [*command, "--rounds", str(run.rounds), "--calls", str(calls)],
        cwd=ROOT, env=run.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise StageError(f"the generated clients could not be measured:\n{done.stderr}")
    found = json.loads(path.read_text())
    return [
        compared(
            f"generated client, {name}", "bare stub", "calls/s", ours, bare,
            target=TARGET, details={"ours": ours, "other": bare},
        )
        for name, (ours, bare) in found.items()
    ]  # fmt: skip
