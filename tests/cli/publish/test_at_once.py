"""Several publishers at once: every contract lands, or who came late is told; nothing is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.repos import USER, Repos

PUBLISHERS = 6


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    ends = []
    for process in processes:
        with process:
            _, errors = process.communicate(timeout=150)
        assert "Traceback" not in errors, errors
        ends.append((process.returncode, errors))
    return ends


@pytest.fixture(params=["remote", "empty remote", "one working copy", "empty working copy"])
def target(request: pytest.FixtureRequest, repos: Repos) -> Path:
    """A repo that all publish to."""
    if request.param.endswith("remote"):
        return repos.remote({} if request.param.startswith("empty") else {"README": "x"})
    folder = repos.make()
    if request.param.startswith("one"):
        repos.commit(folder, {"README": "x"})
    return folder


def test_different_services_all_land(repos: Repos, target: Path) -> None:
    names = [f"service{number}" for number in range(PUBLISHERS)]
    services = [repos.service(name, file=f"{name}.proto") for name in names]
    ends = finish([repos.start(one, "publish", "--to", str(target)) for one in services])
    assert [code for code, _ in ends] == [0] * PUBLISHERS, ends
    for name in names:
        assert repos.show(target, f"{name}/{name}.proto") == USER
    assert repos.git(target, "log", "--format=%(trailers:key=Bali-Service,valueonly)", "main")
    assert repos.git(target, "rev-list", "--merges", "main") == ""
    repos.git(target, "fsck", "--strict")
    if (target / ".git").exists():
        assert repos.git(target, "status", "--porcelain") == ""


def test_versions_of_one_service_are_never_put_over_each_other(repos: Repos, target: Path) -> None:
    services = []
    for number in range(3):
        field = f"  Kind kind = 3;\n  int64 field_{number} = {number + 4};\n"
        text = USER.replace("  Kind kind = 3;\n", field)
        services.append(repos.service(f"copy{number}/user", text))
    ends = finish([repos.start(one, "publish", "--to", str(target)) for one in services])
    landed = [number for number, (code, _) in enumerate(ends) if code == 0]
    assert len(landed) == 1, ends
    assert f"field_{landed[0]} = " in repos.show(target)
    for code, errors in ends:
        # Who began later finds a contract whose field it lacks: that would break callers.
        assert code == 0 or "at the same time" in errors or "would break who calls" in errors


def test_the_same_contract_from_two_jobs_lands_once(repos: Repos, target: Path) -> None:
    services = [repos.service(f"copy{number}/user") for number in range(3)]
    ends = finish([repos.start(one, "publish", "--to", str(target)) for one in services])
    assert [code for code, _ in ends] == [0, 0, 0], ends
    listed = repos.git(target, "rev-list", "main", "--", "user/user.proto")
    assert len(listed.splitlines()) == 1
