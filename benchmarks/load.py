"""Load on one service: wrk for HTTP/1.1 and h2load for gRPC, each pinned to the load's core."""

from __future__ import annotations

import math
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # it ships no types

from benchmarks.calls import GRPC_SERVICE, Call, Request, rpc_answer
from benchmarks.stage import LOAD_CORE, Service, StageError, pinned

__all__ = [
    "Generator", "Load", "Measured", "Run", "busy_seconds", "missing_tools", "percentile",
    "wrk_script",
]  # fmt: skip

REST_CONNECTIONS = 32
GRPC_CONNECTIONS, GRPC_STREAMS = 8, 4
WARM_UP_SECONDS = 1
#: Between the two, for a service to end what it is at: a busy worker learns late that connections
#: have gone, and new ones would all go to another.
SETTLE_SECONDS = 0.2
#: How long an answer may take; many calls at once wait for a slow service in turn.
ANSWER_SECONDS = 60
_FRAME_HEAD = 5
_SIZE_TOLERANCE = 0.95
_PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client"}


def missing_tools() -> str:
    """Return what to say about tools that are not installed, "" when none is missing."""
    missing = [name for name in _PACKAGES if shutil.which(name) is None]
    if not missing:
        return ""
    packages = " ".join(_PACKAGES[name] for name in missing)
    return (
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed and would "
        f"make the load; on Debian: apt-get install {packages}"
    )


@dataclass(slots=True, kw_only=True)
class Run:
    """One run of the measurements: its load, how many rounds, and where progress is told."""

    load: Load
    rounds: int
    env: dict[str, str]
    say: Callable[[str], None]

    def numbers(self, what: str) -> Iterator[int]:
        """Return the numbers of the rounds, from 0, telling each."""
        for number in range(self.rounds):
            self.say(f"{what}: round {number + 1} of {self.rounds}")
            yield number


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one measurement found.

    `cpu_us_per_call` is the processor time of the service, all its processes; `besides_us_per_call`
    that of all else on the machine, which is the load and the database.
    """

    calls_per_second: float
    cpu_us_per_call: float
    besides_us_per_call: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """The commands that make load together, and how to read what they print.

    `read` returns the number of calls and the calls per second; it raises `StageError` when calls
    failed.
    """

    commands: tuple[tuple[str, ...], ...]
    read: Callable[[Sequence[str]], tuple[int, float]]

    def run(self) -> tuple[int, float]:
        """Run the commands and read what they found."""
        with ThreadPoolExecutor(len(self.commands)) as threads:
            return self.read(list(threads.map(lambda command: _output(*command), self.commands)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Makes load for so many seconds; `folder` keeps what the tools read and write."""

    folder: Path
    messages: Any
    seconds: float

    def measure(self, call: Call, protocol: str, service: Service) -> Measured:
        """Warm up, then measure one call at full load."""
        self.generator(call, protocol, service, WARM_UP_SECONDS).run()
        time.sleep(SETTLE_SECONDS)
        before, busy_before = service.cpu_seconds(), busy_seconds()
        calls, rate = self.generator(call, protocol, service, self.seconds).run()
        used, busy = service.cpu_seconds() - before, busy_seconds() - busy_before
        if not calls:
            raise StageError(
                f"{protocol} {call.name}: {service.name} ended no call within {self.seconds} s; "
                "measure for longer (--seconds)"
            )
        return Measured(
            calls_per_second=rate,
            cpu_us_per_call=used / calls * 1e6,
            besides_us_per_call=max(busy - used, 0.0) / calls * 1e6,
        )

    def latencies(self, call: Call, protocol: str, service: Service, rate: float) -> list[int]:
        """Return the microseconds of each call at a given rate of calls per second, sorted.

        Several processes share the connections, each begun a little after the other, since the
        connections of one h2load would all send in the same moment. What they send while all of
        them start does not count. On HTTP/1.1 a connection that still waits for an answer sends
        its next request later.
        """
        is_rpc = protocol == "gRPC"
        connections = 1 if is_rpc else REST_CONNECTIONS // GRPC_CONNECTIONS
        each = max(round(rate / GRPC_CONNECTIONS / connections), 1)
        kind = ("-m32", *self._rpc_options(call, call.first)) if is_rpc else ("--h1", "-m1")
        path = f"{GRPC_SERVICE}/{call.method}" if is_rpc else call.rest(call.first).path
        size = len(rpc_answer(call, service, self.messages)) + _FRAME_HEAD if is_rpc else 0
        command = (
            "h2load", f"-c{connections}", f"-D{WARM_UP_SECONDS + max(round(self.seconds), 1)}",
            f"--rps={each}",
            *kind, f"http://127.0.0.1:{service.rpc_port if is_rpc else service.port}{path}",
        )  # fmt: skip

        def one(number: int) -> list[int]:
            log = self.folder / f"latencies-{number}.tsv"
            log.unlink(missing_ok=True)
            time.sleep(number / GRPC_CONNECTIONS / each)
            _check_h2load(_output(*command, f"--log-file={log}"), size)
            return _latencies(log.read_text())

        with ThreadPoolExecutor(GRPC_CONNECTIONS) as threads:
            return sorted(
                item for found in threads.map(one, range(GRPC_CONNECTIONS)) for item in found
            )

    def generator(self, call: Call, protocol: str, service: Service, seconds: float) -> Generator:
        """Return what makes load for so many whole seconds, one at least."""
        duration = max(round(seconds), 1)
        if protocol == "gRPC":
            return self._h2load(call, service, duration)
        return self._wrk(call, protocol, service, duration)

    # -- HTTP/1.1 --------------------------------------------------------------------------------

    def _wrk(self, call: Call, protocol: str, service: Service, seconds: int) -> Generator:
        script = self.folder / f"request-{service.port}.lua"
        script.write_text(wrk_script(call.at(service), protocol, self.messages))

        def read(outputs: Sequence[str]) -> tuple[int, float]:
            (output,) = outputs
            if "Non-2xx" in output or "Socket errors" in output:
                raise StageError(f"{protocol} {call.name}: {service.name} failed:\n{output}")
            calls = int(_number(r"(\d+) requests in", output))
            return calls, _number(r"Requests/sec:\s+([\d.]+)", output)

        command = (
            "wrk", "-t1", f"-c{REST_CONNECTIONS}", f"-d{seconds}s",
            f"--timeout={ANSWER_SECONDS}s", "-s", str(script), f"http://127.0.0.1:{service.port}/",
        )  # fmt: skip
        return Generator(commands=(command,), read=read)

    # -- gRPC ------------------------------------------------------------------------------------

    def _h2load(self, call: Call, service: Service, seconds: int) -> Generator:
        """Take one h2load, or one for each connection where each is about a row of its own."""
        load = ("h2load", f"-m{GRPC_STREAMS}", f"-D{seconds}")
        url = f"http://127.0.0.1:{service.rpc_port}{GRPC_SERVICE}/{call.method}"
        numbers = range(call.first, min(call.last, call.first + GRPC_CONNECTIONS - 1) + 1)
        commands = tuple(
            (*load, f"-c{GRPC_CONNECTIONS // len(numbers)}", *self._rpc_options(call, number), url)
            for number in numbers
        )
        size = len(rpc_answer(call, service, self.messages)) + _FRAME_HEAD

        def read(outputs: Sequence[str]) -> tuple[int, float]:
            for output in outputs:
                _check_h2load(output, size)
            calls = sum(int(_number(r"(\d+) succeeded", output)) for output in outputs)
            rate = sum(_number(r"finished in [\d.]+m?s, ([\d.]+) req/s", item) for item in outputs)
            return calls, rate

        return Generator(commands=commands, read=read)

    def _rpc_options(self, call: Call, number: int) -> tuple[str, ...]:
        body = call.rpc(self.messages, number)
        frame = self.folder / f"request-{number}.bin"
        frame.write_bytes(struct.pack(">BI", 0, len(body)) + body)
        return (f"-d{frame}", "-Hcontent-type: application/grpc", "-Hte: trailers")


def wrk_script(call: Call, protocol: str, messages: Any) -> str:
    """Return the Lua program that makes wrk's requests, one after the other through the rows."""
    requests = [
        call.rest(number) if protocol == "REST" else call.connect(messages, number)
        for number in range(call.first, call.last + 1)
    ]
    first = requests[0]
    lines = [f'wrk.method = "{first.verb}"']
    if first.verb != "GET":
        lines.append(f'wrk.headers["Content-Type"] = "{first.content_type}"')
    lines += ["local made = {}", "local at = 0"]
    lines.append("init = function(args)")
    lines += [f"  made[#made + 1] = {_formatted(request)}" for request in requests]
    lines += ["end", "request = function()", "  at = at % #made + 1", "  return made[at]", "end"]
    return "\n".join(lines) + "\n"


def _formatted(request: Request) -> str:
    body = "".join(f"\\{byte:03d}" for byte in request.body)
    return (
        f'wrk.format(nil, "{request.path}", nil, {f"{chr(34)}{body}{chr(34)}" if body else "nil"})'
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of sorted values does not exceed (nearest rank)."""
    if not values:
        raise StageError("no call was measured")
    return values[max(math.ceil(len(values) * share) - 1, 0)]


def _latencies(log: str) -> list[int]:
    """Return the microseconds of each call in a log of h2load's, but those of the warm-up."""
    calls = [line.split("\t") for line in log.splitlines()]  # when it began, status, microseconds
    begun = min((int(call[0]) for call in calls), default=0) + WARM_UP_SECONDS * 1_000_000
    return [int(call[2]) for call in calls if int(call[0]) >= begun]


def _check_h2load(output: str, size: int) -> None:
    """Refuse a run with failures; an error of gRPC is a 200 too, without a message as long."""
    is_well = re.search(r"status codes: \d+ 2xx, 0 3xx, 0 4xx, 0 5xx", output)
    failed = _number(r"(\d+) failed", output) + _number(r"(\d+) errored", output)
    calls, received = _number(r"(\d+) succeeded", output), _number(r"\((\d+)\) data", output)
    if not is_well or failed or received < calls * size * _SIZE_TOLERANCE:
        raise StageError(f"calls failed:\n{output}")


def busy_seconds() -> float:
    """Return the processor time that the whole machine has used, all cores together."""
    times = psutil.cpu_times()
    kinds = ("user", "nice", "system", "irq", "softirq")
    return sum(getattr(times, kind, 0.0) for kind in kinds)


def _output(*command: str) -> str:
    done = subprocess.run(
        pinned(LOAD_CORE, *command), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise StageError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise StageError(f"no {pattern!r} in:\n{text}")
    return float(found[1])
