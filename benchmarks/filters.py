"""`python -m benchmarks.filters`: what reading a filter costs, as a share of the list call.

Filters of the size that people write, each text never seen before, and the same text again. A call
is timed over the wire, one after the other on one connection; reading a filter is timed in this
process, by the very function and the fields that the service has. Both are pinned to the same core.
Ends with exit code 1 when reading is more than 10 % of a call.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import grpc
from pydantic import BaseModel

from bali.resources.filter import FilterFields, condition_of, filter_fields
from bali.schemas import Describer
from benchmarks.calls import GRPC_SERVICE, WrongAnswer
from benchmarks.rates import PROGRAMS
from benchmarks.results import Result, compared, console, table
from benchmarks.stage import SERVER_CORE, Service, StageError, messages, service, stage

__all__ = ["FILTERS", "fresh", "main", "measure_filters", "parser"]

MOST = 0.10
PAGE_SIZE = 20
#: What people write: one to four conditions. Each finds a page of rows; the number makes it new.
FILTERS = {
    "one condition": "age >= -{number}",
    "two conditions": 'age >= -{number} AND username = "user-*"',
    "four conditions": (
        'is_active = true AND (age < 99 OR age > {number}) AND NOT username = "nobody"'
    ),
}


class Filtered(BaseModel):
    """The fields of the service's list that the filters name."""

    id: int
    is_active: bool
    username: str
    age: int | None


def fields() -> FilterFields:
    """Return what the filters may name."""
    known = {name: (name, info.annotation) for name, info in Filtered.model_fields.items()}
    return filter_fields(known, {}, describer=Describer(), where="Filtered")


def fresh(filter_text: str, numbers: Iterator[int]) -> Iterator[str]:
    """Return texts that nobody has seen before."""
    return (filter_text.format(number=number) for number in numbers)


def measure_filters(running: Service, module: Any, rounds: int, calls: int) -> list[Result]:
    """Compare the reading of filters with the calls that they are part of."""
    read = functools.partial(condition_of, fields=fields())
    numbers, results = itertools.count(1_000_000), []
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    with grpc.insecure_channel(f"127.0.0.1:{running.rpc_port}") as channel:
        asks = {"REST": _rest(connection), "gRPC": _rpc(channel, module)}
        cases = itertools.product(FILTERS.items(), asks.items(), (False, True))
        for (name, text), (protocol, ask), is_cached in cases:
            reading, calling = [], []
            for _ in range(rounds):
                new = list(itertools.islice(fresh(text, numbers), 2 * calls))
                if is_cached:
                    new = [new[0]] * len(new)
                calling.append(_median_us(ask, new[:calls]))
                reading.append(_median_us(read, new[calls:]))
            case = f"{protocol} list({PAGE_SIZE}), {name}, {'cached' if is_cached else 'cold'}"
            results.append(
                compared(
                    case, "the whole call", "us", reading, calling, target=MOST, is_at_most=True
                )
            )
    connection.close()
    return results


def _median_us(call: Callable[[str], Any], texts: Sequence[str]) -> float:
    found = []
    for text in texts:
        begun = time.perf_counter()
        call(text)
        found.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(found)


def _rest(connection: http.client.HTTPConnection) -> Callable[[str], None]:
    def ask(text: str) -> None:
        query = urlencode({"page_size": PAGE_SIZE, "filter": text})
        connection.request("GET", f"/users?{query}")
        response = connection.getresponse()
        content = response.read()
        if response.status != http.HTTPStatus.OK or content.count(b'"username"') != PAGE_SIZE:
            raise WrongAnswer(f"{text}: {response.status} {content[:300]!r}")

    return ask


def _rpc(channel: Any, module: Any) -> Callable[[str], None]:
    method = channel.unary_unary(f"{GRPC_SERVICE}/ListUsers")

    def ask(text: str) -> None:
        request = module.ListUsersRequest(page_size=PAGE_SIZE, filter=text)
        found = module.ListUsersResponse.FromString(method(request.SerializeToString(), timeout=60))
        if len(found.items) != PAGE_SIZE:
            raise WrongAnswer(f"{text}: {len(found.items)} rows")

    return ask


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.filters",
        description=__doc__,
        epilog="example:\n  python -m benchmarks.filters --rounds 3 --calls 100",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    found.add_argument("--calls", type=int, default=300, help="calls of a round")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit code."""
    options = parser().parse_args(arguments)
    with contextlib.suppress(OSError, AttributeError):  # a machine with one core, or not Linux
        os.sched_setaffinity(0, {SERVER_CORE})
    try:
        with stage() as env, service("bali", PROGRAMS["bali"], env) as running:
            found = measure_filters(running, messages(env), options.rounds, options.calls)
    except (StageError, WrongAnswer) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    console.print(table(found))
    return 0 if all(item.is_met for item in found) else 1


if __name__ == "__main__":
    sys.exit(main())
