"""`python -m benchmarks.commands`: what the commands of bali cost those who wait for them.

Seconds, of the fastest of several runs, each beside what it may be: `bali --help` in processor
time, `bali build` of a service with fifty resources, and everything from `bali new` to the first
answered request, with an environment of its own that is installed from pip's cache.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.stage import free_port

ROOT = Path(__file__).parents[1]
BALI = (sys.executable, "-m", "bali_cli")
HELP_SECONDS, BUILD_SECONDS, NEW_SECONDS = 0.4, 5.0, 60.0
RESOURCES = 50

console = Console()


def run(*command: str | Path, folder: Path, **variables: str) -> None:
    """Run a command in a folder; end the program with what it says when it fails."""
    finished = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        sys.exit(f"error: {command} failed:\n{finished.stdout}{finished.stderr}")


def help_seconds(folder: Path) -> float:
    """Return the processor time of `bali --help`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*BALI, "--help", folder=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def build_seconds(folder: Path) -> float:
    """Return how long `bali build` takes for fifty resources with a model and an action each."""
    service = folder / f"build-{time.monotonic_ns()}"
    service.mkdir()
    parts = ["from bali import Bali, ModelResource, action, db", *IMPORTS]
    parts += [RESOURCE.format(number=number) for number in range(RESOURCES)]
    names = ", ".join(f"Thing{number}Resource" for number in range(RESOURCES))
    parts.append(f'app = Bali(title="things", resources=[{names}])\n')
    (service / "main.py").write_text("\n".join(parts))
    begun = time.monotonic()
    run(*BALI, "build", folder=service)
    return time.monotonic() - begun


IMPORTS = ("from sqlalchemy.orm import Mapped, mapped_column\n",)
RESOURCE = """
class Thing{number}(db.BaseModel):
    __tablename__ = "things_{number}"
    name: Mapped[str]
    count: Mapped[int | None]


class Thing{number}Resource(ModelResource):
    model = Thing{number}
    filters = ["name", "count__gte"]

    @action(detail=True, methods=["post"])
    async def touch(self, pk: int) -> Thing{number}:
        return await self.store.get(pk)
"""


def new_seconds(folder: Path, wheels: Path) -> float:
    """Return how long it takes from `bali new` to the first answer of the new service."""
    place = folder / f"new-{time.monotonic_ns()}"
    place.mkdir()
    begun = time.monotonic()
    run(*BALI, "new", "user", folder=place)
    service = place / "user"
    run(sys.executable, "-m", "venv", ".venv", folder=service)
    python = service / ".venv" / "bin" / "python"
    found = {"PIP_FIND_LINKS": str(wheels)}
    run(python, "-m", "pip", "install", "-q", "-r", "requirements.txt", folder=service, **found)
    port = free_port()
    with subprocess.Popen(
        [python, "main.py", "--port", str(port)],
        cwd=service,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for_answer(f"http://127.0.0.1:{port}/users", process)
            return time.monotonic() - begun
        finally:
            process.send_signal(signal.SIGKILL)


def wait_for_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when a URL is answered."""
    while process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - of our own server
        except OSError:
            time.sleep(0.02)
        else:
            return
    sys.exit(f"error: the new service ended with exit code {process.returncode}")


def make_wheels(folder: Path) -> Path:
    """Build the two distributions, which a package index would have."""
    wheels = folder / "wheels"
    for name in ("bali-core", "bali-cli"):
        build = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", wheels)
        run(sys.executable, *build, ROOT / name, folder=folder)
    return wheels


def main() -> None:
    """Measure, print a table, and end with exit code 1 when something takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: 3)")
    runs = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp(prefix="bali-bench-"))
    try:
        wheels = make_wheels(folder)
        cases: list[tuple[str, float, Callable[[], float]]] = [
            ("bali --help, processor time", HELP_SECONDS, lambda: help_seconds(folder)),
            (f"bali build, {RESOURCES} resources", BUILD_SECONDS, lambda: build_seconds(folder)),
            ("bali new to the first answer", NEW_SECONDS, lambda: new_seconds(folder, wheels)),
        ]
        table = Table("command", "seconds", "at most", "")
        missed = 0
        for name, limit, measure in cases:
            seconds = min(measure() for _ in range(runs))
            missed += seconds > limit
            verdict = "ok" if seconds <= limit else "MISSED"
            table.add_row(name, f"{seconds:.2f}", f"{limit:.1f}", verdict)
        console.print(table)
    finally:
        shutil.rmtree(folder)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
