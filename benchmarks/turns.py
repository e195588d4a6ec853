"""Load on several services in turn, in slices of a tenth of a second.

What the machine does besides changes from second to second, by more than services differ that are
nearly the same. In turns as short as these it falls on all of them alike.
"""

from __future__ import annotations

import contextlib
import math
import signal
import subprocess
import time
from collections.abc import Sequence

from benchmarks.calls import Call
from benchmarks.load import (
    GRPC_CONNECTIONS,
    GRPC_STREAMS,
    REST_CONNECTIONS,
    WARM_UP_SECONDS,
    Generator,
    Load,
    Measured,
    busy_seconds,
)
from benchmarks.stage import LOAD_CORE, Service, StageError, pinned

__all__ = ["measure_in_turns"]

SLICE_SECONDS = 0.1
#: After each slice: what is under way is answered, and nothing else is.
GAP_SECONDS = 0.05
#: How much longer than the turns the load lasts, which must not end within one.
SPARE = 1.2


class _Paused:
    """Load on one service that makes calls in its turns only."""

    def __init__(
        self, service: Service, generator: Generator, *, under_way: int, seconds: float
    ) -> None:
        self._service = service
        self._generator = generator
        #: Calls that are under way whenever it pauses.
        self._under_way = under_way
        #: How long the commands run, pauses and all.
        self._lasts = seconds
        #: When they are over (`time.monotonic`).
        self.over = 0.0
        self._processes: list[subprocess.Popen[str]] = []
        self._cpu = service.cpu_seconds()
        self._busy = 0.0
        self._turns = 0
        self._seconds = 0.0

    def take_turn(self) -> None:
        """Make load for one slice, and let the service end what it is at."""
        busy, begun = busy_seconds(), time.perf_counter()
        if self._processes:
            self._signal(signal.SIGCONT)
        else:
            self._processes = [
                subprocess.Popen(
                    pinned(LOAD_CORE, *command),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for command in self._generator.commands
            ]
            self.over = time.monotonic() + self._lasts
        time.sleep(SLICE_SECONDS)
        if any(process.poll() is not None for process in self._processes):
            raise StageError(f"{self._service.name}: its load ended too soon:\n{self.kill()}")
        self._signal(signal.SIGSTOP)
        self._seconds += time.perf_counter() - begun
        self._turns += 1
        time.sleep(GAP_SECONDS)
        self._busy += busy_seconds() - busy

    def end(self) -> Measured:
        """Return what was measured; its time has to be over, so that it ends as it goes on.

        Each pause leaves calls under way, which the service ends while nobody counts the time.
        """
        busy, begun = busy_seconds(), time.perf_counter()
        self._signal(signal.SIGCONT)
        outputs = [process.communicate()[0] for process in self._processes]
        self._seconds += time.perf_counter() - begun
        if any(process.returncode for process in self._processes):
            raise StageError(f"{self._service.name}: its load failed:\n{''.join(outputs)}")
        calls, _ = self._generator.read(outputs)
        counted = calls - self._turns * self._under_way
        if counted <= 0:
            raise StageError(f"{self._service.name} ended no call in {self._seconds:.1f} s")
        used = self._service.cpu_seconds() - self._cpu
        self._busy += busy_seconds() - busy
        return Measured(
            calls_per_second=counted / self._seconds,
            cpu_us_per_call=used / calls * 1e6,
            besides_us_per_call=max(self._busy - used, 0.0) / calls * 1e6,
        )

    def kill(self) -> str:
        """End what still runs; return what it has printed and nobody has read."""
        told = ""
        for process in self._processes:
            process.kill()
            if process.stdout is not None and not process.stdout.closed:
                told += process.communicate()[0]
        return told

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            process.send_signal(number)


def measure_in_turns(
    load: Load, call: Call, protocol: str, services: Sequence[Service]
) -> list[Measured]:
    """Measure one call on services that are nearly equally fast, each for the seconds of `load`.

    Raises `StageError` when calls fail, or a service ends none.
    """
    turns = max(round(load.seconds / SLICE_SECONDS), 1)
    # The tools count whole seconds, and the time that they pause.
    needed = turns * len(services) * (SLICE_SECONDS + GAP_SECONDS)
    seconds = math.ceil(needed * SPARE) + 2
    under_way = GRPC_CONNECTIONS * GRPC_STREAMS if protocol == "gRPC" else REST_CONNECTIONS
    with contextlib.ExitStack() as stack:
        taking = []
        for service in services:
            load.generator(call, protocol, service, WARM_UP_SECONDS).run()
            generator = load.generator(call, protocol, service, seconds)
            taking.append(_Paused(service, generator, under_way=under_way, seconds=seconds))
            stack.callback(taking[-1].kill)
        for _ in range(turns):
            for item in taking:
                item.take_turn()
        _wait_until(max(item.over for item in taking))
        return [item.end() for item in taking]


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
