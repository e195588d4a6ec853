"""The service as programs that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.waiting import until

ROOT = Path(__file__).parents[2]
ANN = {"authorization": "Bearer ann-token"}
_SECONDS = 30.0


class Service:
    """One process of the service on a port of its own."""

    def __init__(self, url: str, port: int, **settings: str) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": url,
            "BALI_STAGE": "test",
            "BALI_OPERATION_LEASE_SECONDS": "1",
            "BALI_DRAIN_DELAY_SECONDS": "0",
            **settings,
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/operations/service.py"), "--port", str(port)],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=ANN, timeout=30.0)

    def __enter__(self) -> Self:
        until(self._is_ready, "the service is ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(_SECONDS)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, "the service has ended"
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    def start(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Begin an operation."""
        answer = self.http.post(f"/reports/{action}", json=arguments)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def get(self, name: str) -> dict[str, Any]:
        """Return an operation."""
        answer = self.http.get(f"/{name}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finished(self, name: str) -> dict[str, Any]:
        """Return an operation when it is done."""
        until(lambda: self.http.post(f"/{name}:wait").json()["done"], f"{name} is done")
        return self.get(name)

    def marks(self, name: str) -> int:
        """Count what an operation has stored."""
        return int(self.http.get("/reports/marks", params={"operation": name}).json()["result"])


def begun(folder: Path) -> list[tuple[int, int]]:
    """Return the process and the attempt of each beginning in a folder."""
    path = folder / "begun"
    if not path.exists():
        return []
    return [
        (int(process), int(attempt))
        for process, attempt in (line.split() for line in path.read_text().splitlines())
    ]
