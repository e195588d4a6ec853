"""What a service costs at rest: memory of a worker, and the time to its first answer."""

from __future__ import annotations

import time
import urllib.request
from typing import Any

import grpc

from benchmarks.calls import CALLS, GRPC_SERVICE, check
from benchmarks.load import Run
from benchmarks.rates import PROGRAMS
from benchmarks.results import Result, compared
from benchmarks.stage import Program, Service, service

__all__ = ["measure_memory", "measure_start"]

MOST_MEMORY, MOST_START = 1.25, 1.5
HAND = "by hand, both protocols in one process"
HAND_PROGRAM = Program.of("hand_both", has_rpc_port=True)
REST_HAND, RPC_HAND = "by hand, REST", "by hand, gRPC"
REST_PROGRAM, RPC_PROGRAM = Program.of("ours", "--http"), Program.of("ours", "--rpc")
_WARM_UP = (("get", "REST"), ("list(100)", "REST"), ("create", "REST"))
_RPC_WARM_UP = (("get", "gRPC"), ("list(100)", "gRPC"), ("create", "gRPC"))


def measure_memory(run: Run) -> list[Result]:
    """Measure memory after the same load, of fresh processes in each round."""
    programs = {
        "bali": (PROGRAMS["bali"], (*_WARM_UP, *_RPC_WARM_UP)),
        HAND: (HAND_PROGRAM, (*_WARM_UP, *_RPC_WARM_UP)),
        "bali, 2 workers": (PROGRAMS["bali, 2 workers"], (*_WARM_UP, *_RPC_WARM_UP)),
        "bali, REST": (REST_PROGRAM, _WARM_UP),
        REST_HAND: (PROGRAMS[REST_HAND], _WARM_UP),
        "bali, gRPC": (RPC_PROGRAM, _RPC_WARM_UP),
        RPC_HAND: (PROGRAMS[RPC_HAND], _RPC_WARM_UP),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in run.numbers("memory"):
        for name, (program, calls) in programs.items():
            with service(name, program, run.env) as running:
                for call, protocol in calls:
                    check(CALLS[call], protocol, running, run.load.messages)
                    run.load.measure(CALLS[call], protocol, running)
                found[name].append(_mebibytes(running))
    pairs = (
        ("bali", HAND),
        ("bali, 2 workers", HAND),
        ("bali, REST", REST_HAND),
        ("bali, gRPC", RPC_HAND),
    )
    return [
        compared(
            f"memory {kind}", f"{other}{'' if ours == 'bali' else f' ({ours})'}", "MiB",
            [item[index] for item in found[ours]], [item[index] for item in found[other]],
            target=_target(ours, MOST_MEMORY), is_at_most=True, note=_note(ours),
        )
        for index, kind in enumerate(("RSS", "PSS"))
        for ours, other in pairs
    ]  # fmt: skip


def _mebibytes(running: Service) -> tuple[float, float]:
    """Return the resident and the proportional memory of a worker."""
    first, *workers = running.processes()
    sizes = [process.memory_full_info() for process in workers or [first]]
    count = len(sizes) * 2**20
    return sum(size.rss for size in sizes) / count, sum(size.pss for size in sizes) / count


def measure_start(run: Run) -> list[Result]:
    """Measure the seconds from the start of a process to its first answers, files being cached."""
    programs = {
        "bali": PROGRAMS["bali"],
        HAND: HAND_PROGRAM,
        "bali, REST": REST_PROGRAM,
        REST_HAND: PROGRAMS[REST_HAND],
        "bali, gRPC": RPC_PROGRAM,
        RPC_HAND: PROGRAMS[RPC_HAND],
    }
    found: dict[str, list[float]] = {name: [] for name in programs}
    for name, program in programs.items():  # compiles modules, and fills the system's caches
        _first_answer(name, program, run.env)
    for _ in run.numbers("cold start"):
        for name, program in programs.items():
            found[name].append(_first_answer(name, program, run.env))
    return [
        compared(
            "cold start", other, "s", found[ours], found[other],
            target=_target(ours, MOST_START), is_at_most=True,
            note=_note(ours) or f"{' and '.join(_protocols(ours))} answered",
        )
        for ours, other in (("bali", HAND), ("bali, REST", REST_HAND), ("bali, gRPC", RPC_HAND))
    ]  # fmt: skip


def _target(name: str, most: float) -> float | None:
    """Return the target of a program: by hand, gRPC alone needs neither FastAPI nor pydantic."""
    return None if name == "bali, gRPC" else most


def _note(name: str) -> str:
    return "by hand without FastAPI, pydantic" if name == "bali, gRPC" else ""


def _protocols(name: str) -> tuple[str, ...]:
    """Return the protocols that a program is asked over: the one in its name, or both."""
    return tuple(found for found in ("REST", "gRPC") if found in name) or ("REST", "gRPC")


def _first_answer(name: str, program: Program, env: dict[str, str]) -> float:
    protocols = _protocols(name)
    begun = time.perf_counter()
    with service(name, program, env) as running:
        url = f"http://127.0.0.1:{running.port}{CALLS['get'].path.format(number=7)}"
        while "REST" in protocols:
            try:
                urllib.request.urlopen(url, timeout=10).close()
                break
            except OSError:  # it listens, and does not answer yet
                time.sleep(0.005)
        if "gRPC" in protocols:
            with grpc.insecure_channel(f"127.0.0.1:{running.rpc_port}") as channel:
                method: Any = channel.unary_unary(f"{GRPC_SERVICE}/GetUser")
                method(b"\x08\x07", timeout=10, wait_for_ready=True)
        return time.perf_counter() - begun
