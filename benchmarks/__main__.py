"""`python -m benchmarks`: bali against a service written by hand, and against the limit.

Everything that is compared is measured in turn, round after round, so that what the machine does
besides falls on all alike; only ratios count. Servers are pinned to one core, the load to the
other, rows are in PostgreSQL. Before and after, every service's answers are checked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import results as reporting
from benchmarks.load import Load, missing_tools
from benchmarks.results import Result, console
from benchmarks.stage import LOAD_CORE, StageError, messages, stage
from benchmarks.suites import SUITES, Context, chosen_cases

RESULTS = Path(__file__).parent / "results"
EXAMPLES = """examples:
  python -m benchmarks                                   everything, about an hour
  python -m benchmarks --cases "REST get" --rounds 3 --seconds 1
  python -m benchmarks --cases "list(20),memory"         several, by parts of their names
  python -m benchmarks --peers                           with other frameworks, installed first
  python -m benchmarks --list                            the names of all cases
  python -m benchmarks --strict                          exit code 1 when a target is missed
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--rounds", type=_positive, default=5, help="rounds (default: 5)")
    found.add_argument(
        "--seconds", type=_positive, default=3, help="seconds of each measurement (default: 3)"
    )
    found.add_argument(
        "--cases", default="", metavar="PART,...", help="only cases whose name contains a part"
    )
    found.add_argument("--list", action="store_true", help="print the names of the cases")
    found.add_argument(
        "--peers", action="store_true", help="measure other frameworks too, each in its own venv"
    )
    found.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    found.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FOLDER",
        help="where JSON and plot go (default: benchmarks/results)",
    )  # fmt: skip
    return found


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("wanted a number of 1 or more")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the results, and return the exit code."""
    options = parser().parse_args(arguments)
    names = chosen_cases(options.cases)
    if options.list:
        console.print("\n".join(names), highlight=False)
        return 0
    if not names:
        return _failed(f"no case has {options.cases!r} in its name; --list prints them all")
    if missing := missing_tools():
        return _failed(missing)
    path = options.results / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    try:
        found, context = _measure(names, options, path)
    except StageError as error:
        return _failed(str(error))
    missed = report(found, path)
    for name, text in context.versions.items():
        if name not in context.peers:
            print(f"{name}: {text}", file=sys.stderr)
    if context.failures:
        return _failed("\n".join(["could not be measured:", *context.failures]))
    if not found:
        return _failed(f"nothing to compare in {', '.join(names)}: Connect cases need --peers")
    return 1 if missed and options.strict else 0


def _failed(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2


def _measure(
    names: Sequence[str], options: argparse.Namespace, path: Path
) -> tuple[list[Result], Context]:
    """Measure suite by suite; what is found so far is written each time, and lost by nothing."""
    with contextlib.suppress(OSError, AttributeError):  # a machine with one core, or not Linux
        os.sched_setaffinity(0, {LOAD_CORE})
    say: Callable[[str], None] = console.print
    with stage() as env:
        load = Load(
            folder=Path(env["BENCH_STUBS"]), messages=messages(env), seconds=options.seconds
        )
        context = Context(load=load, rounds=options.rounds, env=env, say=say)
        if options.peers:
            context.add_peers()
        given = {name: str(value) for name, value in vars(options).items()}
        found: list[Result] = []
        for suite in SUITES:
            measured = suite.measure(names, context)
            if measured:
                found += measured
                reporting.write_json(path, found, {**given, "measured": names}, context.versions)
    return found, context


def report(found: Sequence[Result], path: Path) -> list[str]:
    """Print the table and what is missed, and draw the plot beside the JSON; return the misses."""
    if not found:
        return []
    console.print(reporting.table(found))
    missed = reporting.missed(found)
    for line in missed:
        console.print(f"missed: {line}", highlight=False)
    if not missed:
        console.print("every target that was measured is met")
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    plot = path.with_suffix(".png")
    if reporting.write_plot(plot, found):
        console.print(f"wrote {plot}", highlight=False, soft_wrap=True)
    else:
        console.print("no plot: matplotlib is not installed (dependency group `bench`)")
    return missed


if __name__ == "__main__":
    sys.exit(main())
