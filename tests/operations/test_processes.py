"""Operations outlive the processes that perform them, and are performed by one at a time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.operations.processes import Service, begun
from tests.waiting import until

FreePorts = Callable[[int], list[int]]


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    if request.param == "sqlite":
        return sqlite_url
    return str(request.getfixturevalue(f"{request.param}_url"))


def test_a_killed_process_is_replaced_by_another(
    url: str, free_ports: FreePorts, tmp_path: Path
) -> None:
    one, two = free_ports(2)
    with Service(url, one) as first, Service(url, two) as second:
        names = [first.start("hold", folder=str(tmp_path))["name"]]
        until(lambda: begun(tmp_path), "the action has begun")
        holder = begun(tmp_path)[0][0]
        victim, heir = (first, second) if first.process.pid == holder else (second, first)
        assert holder == victim.process.pid
        victim.process.kill()
        until(lambda: len(begun(tmp_path)) == 2, "the action has begun anew")
        assert begun(tmp_path) == [(victim.process.pid, 1), (heir.process.pid, 2)]
        (tmp_path / "go").touch()
        done = heir.finished(names[0])
        assert done["response"] == {"process": heir.process.pid, "attempt": 2}
        assert done["metadata"]["attempt"] == 2
        assert heir.marks(names[0]) == 1


def is_taken_over(folder: Path, sleeper: Service, heir: Service) -> bool:
    """Stop a process and tell whether another begins its action; if not, it has gone on again.

    One that was stopped within a transaction keeps its locks, and nobody can take anything over.
    """
    sleeper.process.send_signal(signal.SIGSTOP)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if begun(folder)[-1][0] == heir.process.pid:
            return True
        time.sleep(0.02)
    sleeper.process.send_signal(signal.SIGCONT)
    time.sleep(0.5)  # for what it was about to store
    return False


def test_a_process_that_comes_back_changes_nothing(
    url: str, free_ports: FreePorts, tmp_path: Path
) -> None:
    one, two = free_ports(2)
    with Service(url, one) as first, Service(url, two) as second:
        name = first.start("hold", folder=str(tmp_path))["name"]
        until(lambda: begun(tmp_path), "the action has begun")
        holder = begun(tmp_path)[0][0]
        sleeper, heir = (first, second) if first.process.pid == holder else (second, first)
        until(lambda: is_taken_over(tmp_path, sleeper, heir), "the action has begun anew")
        (tmp_path / "go").touch()
        done = heir.finished(name)
        sleeper.process.send_signal(signal.SIGCONT)
        assert sleeper.start("count", numbers=[1])["done"] is False
        assert sleeper.get(name) == done
        assert done["response"]["process"] == heir.process.pid
        assert heir.marks(name) == 1


def test_a_process_that_is_told_to_stop_gives_back_at_once(
    url: str, free_ports: FreePorts, tmp_path: Path
) -> None:
    one, two = free_ports(2)
    patient = {"BALI_OPERATION_LEASE_SECONDS": "3600"}
    with Service(url, one, **patient) as first, Service(url, two, **patient) as second:
        name = first.start("hold", folder=str(tmp_path))["name"]
        until(lambda: begun(tmp_path), "the action has begun")
        holder = begun(tmp_path)[0][0]
        leaver, heir = (first, second) if first.process.pid == holder else (second, first)
        leaver.process.terminate()
        until(lambda: len(begun(tmp_path)) == 2, "the action has begun anew")
        assert leaver.process.wait(30) == 0
        (tmp_path / "go").touch()
        assert heir.finished(name)["response"] == {"process": heir.process.pid, "attempt": 2}


@pytest.mark.parametrize("action", ["hold", "hold-in-thread"])
def test_a_cancellation_reaches_another_process(
    url: str, free_ports: FreePorts, tmp_path: Path, action: str
) -> None:
    one, two = free_ports(2)
    with Service(url, one) as worker, Service(url, two, BALI_OPERATION_WORKERS="0") as other:
        name = other.start(action, folder=str(tmp_path))["name"]
        until(lambda: begun(tmp_path), "the action has begun")
        assert begun(tmp_path)[0][0] == worker.process.pid
        assert other.http.post(f"/{name}:cancel").status_code == 200
        done = other.finished(name)
        assert (done["metadata"]["state"], done["error"]["code"]) == ("cancelled", "CANCELLED")
        assert worker.get(name) == done


def test_what_has_not_begun_is_cancelled_without_a_worker(url: str, free_port: int) -> None:
    with Service(url, free_port, BALI_OPERATION_WORKERS="0") as service:
        name = service.start("nothing")["name"]
        assert service.get(name)["metadata"]["state"] == "pending"
        service.http.post(f"/{name}:cancel")
        assert service.get(name)["metadata"]["state"] == "cancelled"
        assert service.get(name)["metadata"]["attempt"] == 0


def test_results_outlive_the_service(url: str, free_ports: FreePorts) -> None:
    one, two = free_ports(2)
    with Service(url, one, BALI_OPERATION_WORKERS="0") as service:
        waiting = service.start("count", numbers=[20, 22])["name"]
    with Service(url, two) as service:
        done = service.finished(waiting)
        assert done["response"] == {"result": 42}
    with Service(url, one) as service:
        assert service.get(waiting) == done


def test_an_action_that_kills_every_worker_fails(
    url: str, free_ports: FreePorts, tmp_path: Path
) -> None:
    ports = free_ports(3)
    few = {"BALI_OPERATION_MAX_LOSSES": "2"}
    with Service(url, ports[0], BALI_OPERATION_WORKERS="0", **few) as asker:
        name = asker.start("hold", folder=str(tmp_path))["name"]
        for attempt in (1, 2):
            with Service(url, ports[attempt], **few) as worker:
                until(lambda: len(begun(tmp_path)) == attempt, "it has begun")  # noqa: B023 - used at once
                worker.process.kill()
        with Service(url, ports[1], **few):
            error = asker.finished(name)["error"]
        assert (error["code"], error["reason"]) == ("ABORTED", "WORKERS_LOST")
        assert len(begun(tmp_path)) == 2
