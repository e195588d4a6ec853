"""`python -m benchmarks`: bali against a service written by hand, and against the limit.

Every variant of a case is measured in turn, round after round, so that what the machine does
besides falls on all alike; only ratios of medians count. Servers are pinned to one core, the load
to the other. Before and after, every variant's answer is compared.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import struct
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.stage import LOAD_CORE, Service, pinned, services, stage

RESULTS = Path(__file__).parent / "results"
SERVICES: dict[str, tuple[str, ...]] = {
    "bali": ("ours",),
    "bali, http alone": ("ours", "--http"),
    "bali, grpc alone": ("own_port",),
    "by hand, REST": ("hand_rest",),
    "by hand, gRPC": ("hand_rpc",),
    "limit, REST": ("limit_rest",),
    "limit, gRPC": ("limit_rpc",),
}
REST_CONNECTIONS = 32
GRPC_CONNECTIONS, GRPC_STREAMS = 8, 4
WARM_UP_SECONDS = 1

console = Console()


@dataclass(slots=True, kw_only=True)
class Case:
    """One call, and the services that answer it; `targets` are the least ratios to each."""

    name: str
    is_rest: bool
    path: str
    body: bytes = b""
    targets: dict[str, float]
    rates: dict[str, list[float]] = field(default_factory=dict)

    @property
    def variants(self) -> list[str]:
        """bali, then what it is compared with."""
        return ["bali", *self.targets]

    def median(self, variant: str) -> float:
        """Return the median rate of a variant, in calls per second."""
        return statistics.median(self.rates[variant])

    def ratio(self, other: str) -> float:
        """Return how many times as fast bali is."""
        return self.median("bali") / self.median(other)


def cases() -> list[Case]:
    """Return the cases; the limit is reported without a target."""
    rest = {"by hand, REST": 1.0, "bali, http alone": 0.95, "limit, REST": 0.0}
    rpc = {"by hand, gRPC": 1.0, "bali, grpc alone": 0.95, "limit, gRPC": 0.0}
    get = _varint_field(1, 7)
    listing = _varint_field(1, 20)
    service = "/bench.BenchService"
    return [
        Case(name="gRPC get", is_rest=False, path=f"{service}/GetUser", body=get, targets=rpc),
        Case(
            name="gRPC list(20)", is_rest=False, path=f"{service}/ListUsers", body=listing,
            targets=rpc,
        ),
        Case(name="REST get", is_rest=True, path="/users/7", targets=rest),
        Case(name="REST list(20)", is_rest=True, path="/users?page_size=20", targets=rest),
    ]  # fmt: skip


def main() -> None:
    """Measure, print the table, and write the results."""
    options = _options()
    for tool in ("wrk", "h2load"):
        if shutil.which(tool) is None:
            sys.exit(f"error: {tool} is not installed; it makes the load (apt-get install "
                     "wrk nghttp2-client)")  # fmt: skip
    chosen = [case for case in cases() if options.cases in case.name]
    with stage() as env, services(SERVICES, env) as running:
        for case in chosen:
            _check_answers(case, running)
        for number in range(options.rounds):
            console.print(f"round {number + 1} of {options.rounds}")
            for case in chosen:
                for variant in case.variants:
                    rate = _measure(case, running[variant], options.seconds, env)
                    case.rates.setdefault(variant, []).append(rate)
        for case in chosen:
            _check_answers(case, running)
    missed = _report(chosen)
    _write(chosen)
    if missed and options.strict:
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds per measurement")
    parser.add_argument("--cases", default="", help="only cases whose name contains this")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    return parser.parse_args()


# -- load ------------------------------------------------------------------------------------------


def _measure(case: Case, service: Service, seconds: int, env: dict[str, str]) -> float:
    url = f"http://127.0.0.1:{service.port}{case.path}"
    return _wrk(url, seconds) if case.is_rest else _h2load(url, case.body, seconds, env)


def _wrk(url: str, seconds: int) -> float:
    load = ("wrk", "-t1", f"-c{REST_CONNECTIONS}")
    _run(*load, f"-d{WARM_UP_SECONDS}s", url)
    output = _run(*load, f"-d{seconds}s", url)
    if "Non-2xx" in output or re.search(r"Socket errors: (?!connect 0, read 0, write 0)", output):
        sys.exit(f"error: {url} answered with errors:\n{output}")
    return _number(r"Requests/sec:\s+([\d.]+)", output)


def _h2load(url: str, body: bytes, seconds: int, env: dict[str, str]) -> float:
    frame = Path(env["BENCH_STUBS"]) / "request.bin"
    frame.write_bytes(struct.pack(">BI", 0, len(body)) + body)
    output = _run(
        "h2load", f"-c{GRPC_CONNECTIONS}", f"-m{GRPC_STREAMS}", f"-D{seconds}",
        f"--warm-up-time={WARM_UP_SECONDS}", f"-d{frame}",
        "-Hcontent-type: application/grpc", "-Hte: trailers", url,
    )  # fmt: skip
    if not re.search(r"status codes: [1-9]\d* 2xx, 0 3xx, 0 4xx, 0 5xx", output):
        sys.exit(f"error: {url} answered with errors:\n{output}")
    if _number(r"(\d+) failed", output) or _number(r"(\d+) errored", output):
        sys.exit(f"error: calls of {url} failed:\n{output}")
    return _number(r"finished in [\d.]+s, ([\d.]+) req/s", output)


def _run(*command: str) -> str:
    done = subprocess.run(
        pinned(LOAD_CORE, *command), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        sys.exit(f"error: no {pattern!r} in:\n{text}")
    return float(found[1])


# -- answers ---------------------------------------------------------------------------------------


def _check_answers(case: Case, running: dict[str, Service]) -> None:
    """End the program when two services answer differently."""
    answers = {variant: _answer(case, running[variant]) for variant in case.variants}
    expected = answers["bali"]
    for variant, answer in answers.items():
        if answer != expected:
            sys.exit(f"error: {case.name}: {variant} answers otherwise:\n{answer}\n{expected}")


def _answer(case: Case, service: Service) -> Any:
    if case.is_rest:
        with urllib.request.urlopen(f"http://127.0.0.1:{service.port}{case.path}") as response:
            answer = json.loads(response.read())
        answer.pop("next_page_token", None)
        return answer
    with grpc.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        call: Any = channel.unary_unary(case.path)
        raw: bytes = call(case.body, timeout=10)
    # The token is the last field of a page and differs by service; what stands before it is equal.
    return raw if "Get" in case.path else raw[:400]


def _varint_field(number: int, value: int) -> bytes:
    """Return a small protobuf message with one integer."""
    return bytes([number << 3, value])


# -- results ---------------------------------------------------------------------------------------


def _report(chosen: list[Case]) -> list[str]:
    table = Table(title="bali against others: medians of calls per second")
    for name in ("case", "against", "bali", "other", "ratio", "spread", "target", ""):
        table.add_column(name, justify="left" if name in ("case", "against") else "right")
    missed = []
    for case in chosen:
        for other, target in case.targets.items():
            ratio = case.ratio(other)
            is_met = ratio >= target
            if not is_met:
                missed.append(f"{case.name} against {other}: {ratio:.2f}, wanted {target:.2f}")
            each = [ours / theirs for ours, theirs in
                    zip(case.rates["bali"], case.rates[other], strict=True)]  # fmt: skip
            table.add_row(
                case.name, other, f"{case.median('bali'):,.0f}", f"{case.median(other):,.0f}",
                f"{ratio:.2f}", f"{min(each):.2f}-{max(each):.2f}",
                f"{target:.2f}" if target else "-",
                "" if not target else "ok" if is_met else "MISSED",
            )  # fmt: skip
    console.print(table)
    for line in missed:
        console.print(f"missed: {line}")
    if not missed:
        console.print("every target is met")
    return missed


def _write(chosen: list[Case]) -> None:
    RESULTS.mkdir(exist_ok=True)
    content = {
        case.name: {
            "rates": case.rates,
            "ratios": {name: case.ratio(name) for name in case.targets},
        }
        for case in chosen
    }
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = RESULTS / f"{stamp}.json"
    path.write_text(json.dumps(content, indent=2))
    console.print(
        f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}"
    )
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - optional
    except ImportError:
        console.print("no plot: matplotlib is not installed (benchmarks/requirements.txt)")
        return
    figure, axes = plt.subplots(figsize=(9, 4))
    names = [f"{case.name}\n{other}" for case in chosen for other in case.targets]
    axes.bar(names, [case.ratio(other) for case in chosen for other in case.targets])
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylabel("times as fast")
    axes.tick_params(axis="x", labelsize=6, rotation=45)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"), dpi=120)


if __name__ == "__main__":
    main()
