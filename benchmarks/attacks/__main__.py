"""`python -m benchmarks.attacks`: the whole attack, with what came of it as a table."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

from bali.testing import live_server
from benchmarks.attacks.campaign import Report, attack
from benchmarks.attacks.service import db, make_app

_SHOWN = 10


def main() -> int:
    """Attack, print the report, and return 1 when anything got through."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000, help="how many to send")
    parser.add_argument("--seed", type=int, default=0, help="what they are drawn from")
    parser.add_argument("--database", help="address of the database (default: a SQLite file)")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        db.connect(options.database or f"sqlite:///{Path(folder) / 'attacked.sqlite3'}")
        with live_server(make_app()) as live:
            began = time.monotonic()
            report = asyncio.run(attack(live, options.requests, seed=options.seed))
            seconds = time.monotonic() - began
    _print(report, seconds)
    return 0 if report.is_clean else 1


def _print(report: Report, seconds: float) -> None:
    print(f"{report.answers.total()} requests in {seconds:.0f} s")
    for name, number in sorted(report.answers.items()):
        print(f"  {name:28} {number:8}")
    print(f"unexpected errors of the service: {len(report.unexpected)}")
    print(f"answers with a word of somebody else: {len(report.leaks)}")
    print(f"rows of somebody else that changed: {report.changed_rows}")
    for line in (*report.unexpected[:_SHOWN], *report.leaks[:_SHOWN]):
        print(f"  {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
