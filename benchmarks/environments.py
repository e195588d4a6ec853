"""Other frameworks, each in an environment of its own, made on request with pinned versions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.stage import ROOT, Program

__all__ = ["PEERS", "Peer", "installed"]

FOLDER = Path(__file__).parent / "peers"
ENVIRONMENTS = ROOT / ".venv-peers"
INSTALL_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A framework: `peers/SCRIPT.py` runs it, with what `peers/SCRIPT.txt` pins."""

    script: str
    cases: Sequence[str]
    #: Its own paths of calls, where it has other arguments.
    paths: Mapping[str, str] = field(default_factory=dict)
    has_rpc_port: bool = False

    @property
    def requirements(self) -> tuple[str, ...]:
        """Its packages with their versions."""
        lines = (FOLDER / f"{self.script}.txt").read_text().splitlines()
        return tuple(line for line in lines if line and not line.startswith("#"))


_CALLS = ("get", "list(20)", "list(100)", "create", "update")
_REST = tuple(f"REST {call}" for call in _CALLS)
_RPC = tuple(f"gRPC {call}" for call in _CALLS)

PEERS = {
    "FastAPI + SQLModel": Peer(script="fastapi_sqlmodel", cases=_REST),
    "Litestar + advanced-alchemy": Peer(script="litestar_alchemy", cases=_REST),
    "connectrpc": Peer(script="connect_rpc", cases=("Connect get", "Connect list(20)")),
    "django-socio-grpc": Peer(script="django_socio", cases=_RPC),
    "the first bali": Peer(
        script="first_bali",
        cases=(*_REST[:3], *_RPC),
        has_rpc_port=True,
        paths={f"list({size})": f"/users?limit={size}" for size in (20, 100)},
    ),
}


def installed(peer: Peer, folder: Path) -> tuple[Program, str]:
    """Install a peer, unless it is there, and return how it runs and its versions.

    Raises `RuntimeError` with the reason when it cannot be installed, or does not load.
    """
    place = ENVIRONMENTS / peer.script
    python, stamp = place / "bin" / "python", place / "installed.txt"
    wanted = "\n".join(peer.requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        _run(str(python), "-m", "pip", "install", "-q", *peer.requirements)
        stamp.write_text(wanted)
    script = FOLDER / f"{peer.script}.py"
    _run(str(python), str(script), "--check", path=folder)
    program = Program(
        command=(str(script),),
        python=str(python),
        has_rpc_port=peer.has_rpc_port,
        variables={"PYTHONPATH": str(folder)},
        paths=peer.paths,
    )
    return program, ", ".join(peer.requirements)


def _run(*command: str, path: Path | None = None) -> None:
    env = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not finished after {INSTALL_SECONDS} s: {command[-1]}") from None
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise RuntimeError(lines[-1] if lines else f"exit code {done.returncode}")
