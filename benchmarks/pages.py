"""`python -m benchmarks.pages`: what page 10,000 of ten million rows costs, against page 1.

Both pages are asked for in turn, one call after the other on one connection, over REST and gRPC,
ordered by the key and by another column with an index. Ends with exit code 1 when a deep page costs
more than 1.5 times the first.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import grpc

from benchmarks.calls import GRPC_SERVICE, WrongAnswer
from benchmarks.rates import PROGRAMS
from benchmarks.results import Result, compared, console, table
from benchmarks.stage import ROWS, Service, StageError, execute, messages, service, stage

__all__ = ["Pages", "main", "measure_pages", "parser"]

MOST = 1.5
PAGE = 10_000
MOST_ROWS_OF_A_PAGE = 1000
ORDERS = {"by key": "", "by another column": "created_time desc"}

_FILL = """
ALTER TABLE bench_users SET UNLOGGED;
INSERT INTO bench_users (created_time, updated_time, is_active, username, age)
SELECT '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second 1 microsecond',
       '2026-02-01T00:00:00Z'::timestamptz, true, 'user-' || n, n % 90
FROM generate_series({first}, {last}) AS n;
CREATE INDEX ON bench_users (created_time, id);
ANALYZE bench_users;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Asks one service for pages on one connection of each protocol, one after the other."""

    connection: http.client.HTTPConnection
    channel: Any
    messages: Any
    page_size: int

    def rest(self, order_by: str, token: str, size: int = 0) -> tuple[list[int], str]:
        """Return the keys of a page and the token of the next."""
        asked = {"page_size": size or self.page_size, "order_by": order_by, "page_token": token}
        query = urlencode({name: value for name, value in asked.items() if value})
        self.connection.request("GET", f"/users?{query}")
        response = self.connection.getresponse()
        content = response.read()
        if response.status != http.HTTPStatus.OK:
            raise WrongAnswer(f"status {response.status}: {content!r}")
        found = json.loads(content)
        return [item["id"] for item in found["items"]], found["next_page_token"]

    def rpc(self, order_by: str, token: str) -> tuple[list[int], str]:
        """Return the same over gRPC."""
        asked: dict[str, Any] = {"order_by": order_by, "page_token": token}
        request = self.messages.ListUsersRequest(
            page_size=self.page_size, **{name: value for name, value in asked.items() if value}
        )
        raw = self.channel.unary_unary(f"{GRPC_SERVICE}/ListUsers")(
            request.SerializeToString(), timeout=60
        )
        found = self.messages.ListUsersResponse.FromString(raw)
        return [item.id for item in found.items], found.next_page_token

    def token(self, order_by: str, skipped: int) -> str:
        """Return the token of the page after so many rows, by walking over them in large pages."""
        token = ""
        while skipped:
            size = min(skipped, MOST_ROWS_OF_A_PAGE)
            _, token = self.rest(order_by, token, size)
            if not token:
                raise WrongAnswer("the list ended before the page that was asked for")
            skipped -= size
        return token


def measure_pages(running: Service, module: Any, options: argparse.Namespace) -> list[Result]:
    """Compare page 10,000, or the last one, with page 1, by each order and protocol."""
    page_size = options.page_size
    page = min(PAGE, options.rows // page_size)
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    results = []
    with grpc.insecure_channel(f"127.0.0.1:{running.rpc_port}") as channel:
        pages = Pages(connection=connection, channel=channel, messages=module, page_size=page_size)
        for name, order_by in ORDERS.items():
            console.print(f"{name}: walking to page {page:,}")
            before = (page - 1) * page_size
            token = pages.token(order_by, before)
            expected = range(before + 1, before + page_size + 1)
            if order_by:  # newest first, and the rows were made in the order of their keys
                expected = range(options.rows - before, options.rows - before - page_size, -1)
            for protocol, ask in (("REST", pages.rest), ("gRPC", pages.rpc)):
                if ask(order_by, token)[0] != list(expected):
                    raise WrongAnswer(f"{protocol}, {name}: page {page} has other rows than it")
                found = _alternated(ask, order_by, token, options)
                results.append(
                    compared(
                        f"{protocol} page {page:,}, {name}", "page 1", "ms", *found,
                        target=MOST, is_at_most=True,
                    )
                )  # fmt: skip
    connection.close()
    return results


def _alternated(
    ask: Callable[..., Any], order_by: str, token: str, options: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Return the median milliseconds of each round, of the deep page and of the first."""
    deep: list[float] = []
    first: list[float] = []
    for _ in range(options.rounds):
        pair: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.calls):
            for milliseconds, at in zip(pair, (token, ""), strict=True):
                begun = time.perf_counter()
                ask(order_by, at)
                milliseconds.append((time.perf_counter() - begun) * 1000)
        deep.append(statistics.median(pair[0]))
        first.append(statistics.median(pair[1]))
    return deep, first


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.pages",
        description=__doc__,
        epilog="examples:\n  python -m benchmarks.pages\n"
        "  python -m benchmarks.pages --rows 200000 --rounds 3   the last page of fewer rows",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--rows", type=int, default=10_000_000, help="rows of the table")
    found.add_argument("--page-size", type=int, default=100, help="rows of a page (default: 100)")
    found.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    found.add_argument("--calls", type=int, default=200, help="calls of a round, of each page")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit code."""
    options = parser().parse_args(arguments)
    rows = options.rows = max(options.rows, ROWS)
    try:
        with stage() as env:
            console.print(f"making {rows:,} rows")
            asyncio.run(execute(env["DATABASE_URL"], _FILL.format(first=ROWS + 1, last=rows)))
            with service("bali", PROGRAMS["bali"], env) as running:
                found = measure_pages(running, messages(env), options)
    except (StageError, WrongAnswer) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    console.print(table(found))
    return 0 if all(item.is_met for item in found) else 1


if __name__ == "__main__":
    sys.exit(main())
