"""The services of every case answer the same thing, and that is the right one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.calls import CALLS, WrongAnswer, check
from benchmarks.environments import FOLDER, PEERS, Peer, installed
from benchmarks.footprint import HAND_PROGRAM
from benchmarks.load import Load
from benchmarks.rates import CASES, PROGRAMS
from benchmarks.stage import ROOT, Program, StageError, messages, service, stage
from benchmarks.suites import Context


@pytest.fixture(scope="module")
def env(postgres_url: str) -> Iterator[dict[str, str]]:
    """What services need, in a database of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BALI_BENCH_POSTGRES", postgres_url)
        with stage() as found:
            yield found


def protocols_of(name: str) -> set[str]:
    """Return the protocols that cases ask a service for."""
    return {case.protocol for case in CASES if name in case.variants and case.targets}


@pytest.mark.postgres
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_service_answers_its_calls(name: str, env: dict[str, str]) -> None:
    calls = {(c.call, c.protocol) for c in CASES if name in c.variants and c.targets}
    assert calls
    with service(name, PROGRAMS[name], env) as running:
        for call, protocol in sorted(calls):
            check(CALLS[call], protocol, running, messages(env))
        if len(protocols_of(name)) == 2:
            check(CALLS["get"], "Connect", running, messages(env))
        assert running.cpu_seconds() > 0


@pytest.mark.postgres
def test_the_service_of_both_protocols_answers_on_two_ports(env: dict[str, str]) -> None:
    with service("both", HAND_PROGRAM, env) as running:
        assert running.port != running.rpc_port
        for protocol in ("REST", "gRPC"):
            for size in (20, 1000):
                check(CALLS[f"list({size})"], protocol, running, messages(env))


@pytest.mark.postgres
def test_a_wrong_answer_is_told(env: dict[str, str]) -> None:
    program = Program.of("limit_rest", paths={"get": "/users/8"})
    with (
        service("wrong", program, env) as running,
        pytest.raises(WrongAnswer, match=r"REST get: wrong answers otherwise"),
    ):
        check(CALLS["get"], "REST", running, messages(env))


@pytest.mark.postgres
def test_a_service_that_ends_is_told_with_its_words(env: dict[str, str]) -> None:
    program = Program(command=("-c", "raise SystemExit('no reason')"))
    with pytest.raises(StageError, match="no reason"), service("short", program, env):
        pass


@pytest.mark.postgres
def test_workers_that_end_before_they_serve_are_told(env: dict[str, str]) -> None:
    """Their port is open already: the parent opens it."""
    script = (
        "import socket, sys, time\n"
        "held = socket.create_server(('127.0.0.1', int(sys.argv[2])))\n"
        "time.sleep(1)\n"
        "raise SystemExit('no worker lived')\n"
    )
    program = Program(command=("-c", script), workers=2)
    with pytest.raises(StageError, match="no worker lived"), service("short", program, env):
        pass


def test_a_missing_database_is_told(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("BALI_BENCH_POSTGRES", f"postgresql://postgres@127.0.0.1:{free_port}/test")
    with pytest.raises(StageError, match="BALI_BENCH_POSTGRES"), stage():
        pass


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("module", "arguments"),
    [("filters", ["--calls", "3"]), ("pages", ["--rows", "3000", "--calls", "3"])],
)
def test_pages_and_filters_are_measured(
    module: str, arguments: list[str], postgres_url: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", "--rounds", "1", *arguments],
        cwd=ROOT, env={**os.environ, "BALI_BENCH_POSTGRES": postgres_url}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr  # 1: a target is missed, as may be here
    assert done.stdout.count("at most") >= 4


def test_peers_pin_every_package() -> None:
    for peer in PEERS.values():
        assert (FOLDER / f"{peer.script}.py").exists()
        assert all("==" in line for line in peer.requirements)


@pytest.mark.postgres
def test_a_peer_whose_methods_are_mounted_by_name_has_them_all(env: dict[str, str]) -> None:
    """One that lacks a method does not start."""
    (bound,) = messages(env).DESCRIPTOR.services_by_name.values()
    wanted = {method.name for method in bound.methods}
    assert "GetUser" in wanted
    text = (FOLDER / "django_socio.py").read_text()
    assert {name for name in wanted if f"    async def {name}(" in text} == wanted


def test_peers_take_part_in_cases_that_there_are() -> None:
    names = {case.name for case in CASES}
    for peer in PEERS.values():
        assert peer.cases
        assert set(peer.cases) <= names
        protocols = {case.partition(" ")[0] for case in peer.cases}
        assert peer.has_rpc_port == ({"REST", "gRPC"} <= protocols)


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A peer that cannot be installed."""
    monkeypatch.setattr("benchmarks.environments.FOLDER", tmp_path)
    monkeypatch.setattr("benchmarks.environments.ENVIRONMENTS", tmp_path)
    (tmp_path / "odd.txt").write_text(f"# of no use\n{tmp_path / 'odd-1.0-py3-none-any.whl'}\n")
    (tmp_path / "odd.py").write_text("raise ValueError('it does not load')")
    return Peer(script="odd", cases=())


def test_a_peer_that_does_not_install_gives_the_reason(odd: Peer, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"odd-1\.0"):
        installed(odd, tmp_path)


def test_a_peer_that_does_not_load_gives_the_reason(odd: Peer, tmp_path: Path) -> None:
    (tmp_path / "odd" / "bin").mkdir(parents=True)
    (tmp_path / "odd" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "odd" / "installed.txt").write_text("\n".join(odd.requirements))
    with pytest.raises(RuntimeError, match="it does not load"):
        installed(odd, tmp_path)


@pytest.mark.postgres
def test_a_peer_that_ends_or_answers_otherwise_is_left_out(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {
        "right": Program.of("limit_rest"),
        "wrong": Program.of("limit_rest", paths={"get": "/users/8"}),
        "short": Program(command=("-c", "raise SystemExit('no reason')")),
    }
    peers = {name: Peer(script=name, cases=("REST get", "REST create")) for name in programs}
    monkeypatch.setattr("benchmarks.suites.PEERS", peers)
    monkeypatch.setattr(
        "benchmarks.suites.installed", lambda peer, _folder: (programs[peer.script], "1.0")
    )
    load = Load(folder=tmp_path, messages=messages(env), seconds=1)
    context = Context(load=load, rounds=1, env=env, say=lambda _: None)
    context.add_peers()
    assert list(context.peers) == ["right"]
    assert "answers otherwise" in context.versions["wrong"]
    assert "no reason" in context.versions["short"]
    assert context.versions["right"] == "1.0"


def test_the_clients_write_their_rates(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    command = (sys.executable, "-m", "benchmarks.clients", "--rounds", "1", "--calls", "8")
    subprocess.run([*command, "--json", path], cwd=ROOT, check=True, capture_output=True)
    found = json.loads(path.read_text())
    assert set(found) == {"sync get", "async get", "sync list(20)", "async list(20)"}
