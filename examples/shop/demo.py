"""Makes two services from nothing, has one call the other, and shows every step.

It needs bali-core, bali-cli and git. It stays up until Ctrl-C; with CHECK=1 in the environment it
ends by itself, and fails if any step did. The services are left in a folder, for a look around.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

from google.rpc import error_details_pb2

HERE = Path(__file__).parent
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
IDENTITY = {
    "GIT_AUTHOR_NAME": "shop",
    "GIT_AUTHOR_EMAIL": "shop@example.com",
    "GIT_COMMITTER_NAME": "shop",
    "GIT_COMMITTER_EMAIL": "shop@example.com",
}


class Shop:
    """The folder with both services and the proto repo, and the processes that run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}

    # -- the story -----------------------------------------------------------------------------

    def make(self) -> None:
        """Make the proto repo and both services."""
        tell("A proto repo: where a team keeps the contracts of its services")
        self.run("git init --quiet --initial-branch=main proto")

        tell("A user service: written, built, and its contract published")
        self.bali("new user")
        self.bali("build", within="user")
        self.bali("publish", within="user")

        tell("An order service that calls it: the client is added, the operations are written")
        self.bali("new order")
        self.bali("add user", within="order")
        self.write_order()
        self.bali("build", within="order")
        self.bali("publish", within="order")
        self.bali("check", within="order")
        self.bali("routes", within="order")

    def write_order(self) -> None:
        """Put what a team writes itself into the order service."""
        for path in sorted((HERE / "order").rglob("*.py")):
            shutil.copy(path, self.folder / "order" / path.relative_to(HERE / "order"))
        print("$ # ... and the team writes models/order.py and resources/order.py:")
        written = (HERE / "order" / "resources" / "order.py").read_text().splitlines()
        start = next(i for i, line in enumerate(written) if "async def place" in line)
        print("\n".join(f"    {line}" for line in written[start - 1 : start + 6]))

    def serve(self) -> None:
        """Run both services, each with its own database and port."""
        tell("Both run, each with REST and gRPC on one port")
        self.start("user")
        self.start("order", USER_GRPC_ADDRESS=f"127.0.0.1:{self.ports['user']}")

    def call(self) -> None:
        """Make the calls that show what one service is to the other."""
        tell("A user over REST, and an order that asks for it over gRPC")
        user = self.ask("user", "POST", "/users", {"name": "ann"}, expected=201)
        order = self.ask(
            "order",
            "POST",
            "/orders/place",
            {"user_id": user["id"], "item": "tea", "price": "2.50"},
            traceparent=f"00-{TRACE}-00f067aa0ba902b7-01",
        )
        check(order["user_name"] == "ann", "the order has the name that the user service told")

        tell("One trace runs through both: their logs say so")
        for name in ("user", "order"):
            lines = self.logged(name)
            check(bool(lines), f"the {name} service logged its call under the trace {TRACE}")
            print(f"    {name}: {lines[-1]}")

        tell("A missing user is the same error over both protocols")
        purchase = {"user_id": 99, "item": "tea", "price": "2.50"}
        over_rest = self.ask("order", "POST", "/orders/place", purchase, expected=404)
        # In protobuf's JSON a google.type.Decimal is a message.
        over_grpc = self.ask_grpc(
            "order.OrderService/PlaceOrders", {**purchase, "price": {"value": "2.50"}}
        )
        check(
            (over_rest["code"], over_rest["reason"])
            == (over_grpc["code"], over_grpc["reason"])
            == ("NOT_FOUND", over_rest["reason"]),
            f"NOT_FOUND, {over_rest['reason']} on both: {over_rest['detail']}",
        )

    # -- commands ------------------------------------------------------------------------------

    def bali(self, command: str, *, within: str = ".") -> None:
        """Run a command of bali, as if its program was on PATH."""
        program = [sys.executable, "-m", "bali_cli", *shlex.split(command)]
        self.run(f"bali {command}", within=within, program=program)

    def run(self, command: str, *, within: str = ".", program: list[str] | None = None) -> None:
        """Run a command in a folder of the shop and print what it says."""
        prompt = "$" if within == "." else f"{within}$"
        print(f"{prompt} {command}", flush=True)
        finished = subprocess.run(
            program or shlex.split(command),
            cwd=self.folder / within,
            env={**os.environ, **IDENTITY, "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in (finished.stdout + finished.stderr).splitlines():
            print(f"    {line}")
        if finished.returncode:
            fail(f"`{command}` ended with exit code {finished.returncode}")

    def start(self, name: str, **variables: str) -> None:
        """Run a service on a free port and wait until it is ready."""
        port = self.ports[name] = free_port()
        shown = "".join(f"{key}={value} " for key, value in variables.items())
        print(f"{name}$ {shown}bali run --port {port}", flush=True)
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "bali_cli", "run", "--port", str(port)],
                cwd=self.folder / name,
                env={**os.environ, **variables, "BALI_DRAIN_DELAY_SECONDS": "0"},
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C comes here alone
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.running[name].poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        print((self.folder / f"{name}.log").read_text(errors="replace"))
        fail(f"the {name} service did not become ready")

    def stop(self) -> None:
        """Stop the services."""
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for name, process in self.running.items():
            try:
                code = process.wait(30)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()
                code = process.wait()
            if code:
                fail(f"the {name} service ended with exit code {code}")
        self.running = {}

    # -- calls ---------------------------------------------------------------------------------

    def ask(
        self,
        service: str,
        method: str,
        path: str,
        body: dict[str, Any],
        *,
        expected: int = 200,
        **headers: str,
    ) -> dict[str, Any]:
        """Call a service over REST, print call and answer, and return the answer."""
        print(f"{method} http://127.0.0.1:{self.ports[service]}{path} {json.dumps(body)}")
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[service]}{path}",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json", **headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        print(f"    {status} {text.decode()}")
        check(status == expected, f"{status}, as it should be")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def ask_grpc(self, path: str, body: dict[str, Any]) -> dict[str, str]:
        """Call the order service over gRPC with `buf curl`, through reflection."""
        command = ["buf", "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--data"]
        address = f"http://127.0.0.1:{self.ports['order']}/{path}"
        print(f"{' '.join(command)} '{json.dumps(body)}' {address}")
        program = [str(Path(sys.executable).parent / "buf"), *command[1:], json.dumps(body)]
        finished = subprocess.run(
            [*program, address], capture_output=True, text=True, timeout=60, check=False
        )
        print("\n".join(f"    {line}" for line in finished.stderr.splitlines()))
        if not finished.stderr.startswith("{"):
            fail(f"WRONG: the call should have been answered with an error: {finished.stdout}")
        error = json.loads(finished.stderr)
        reason = ""
        for detail in error.get("details", ()):
            if detail["type"] == error_details_pb2.ErrorInfo.DESCRIPTOR.full_name:
                raw = base64.b64decode(detail["value"] + "==")
                reason = error_details_pb2.ErrorInfo.FromString(raw).reason
        return {"code": str(error["code"]).upper(), "reason": reason}

    def logged(self, name: str) -> list[str]:
        """Return the lines of a service's log that belong to the trace."""
        log = (self.folder / f"{name}.log").read_text(errors="replace")
        return [line for line in log.splitlines() if TRACE in line]


def tell(title: str) -> None:
    """Print a heading."""
    print(f"\n== {title}", flush=True)


def check(is_right: bool, text: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Print what was checked; end the demonstration when it is not so."""
    if not is_right:
        fail(f"WRONG: {text}")
    print(f"    ok: {text}", flush=True)


def fail(message: str) -> NoReturn:
    """End the demonstration."""
    sys.exit(f"error: {message}")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Run the demonstration."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore SIGINT
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="bali-shop-"))
    shop = Shop(folder)
    is_check = bool(os.environ.get("CHECK"))
    try:
        shop.make()
        shop.serve()
        shop.call()
        if not is_check:
            tell("Both are up. Ctrl-C stops them")
            for name, port in shop.ports.items():
                print(f"    {name}: http://127.0.0.1:{port}/docs  (log: {folder}/{name}.log)")
            # A wait that blocks would not see a Ctrl-C that comes just before it.
            while shop.running["order"].poll() is None:
                time.sleep(0.1)
    except KeyboardInterrupt:
        pass
    finally:
        shop.stop()
        if is_check:
            shutil.rmtree(folder)
        else:
            print(f"The services are in {folder}.")


if __name__ == "__main__":
    main()
