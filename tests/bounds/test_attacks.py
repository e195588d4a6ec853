"""Somebody who may call a service gets nothing of somebody else's, whatever they send."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bali.testing import live_server
from benchmarks.attacks import attack
from benchmarks.attacks.service import LetterResource, db, make_app

_COUNT = 2_000


@pytest.mark.parametrize("database", ["sqlite", "postgres", "mariadb"])
def test_no_attack_gets_through(
    database: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    if database == "sqlite":
        db.connect(f"sqlite:///{tmp_path / 'db.sqlite3'}")
    else:
        db.connect(request.getfixturevalue(f"{database}_url"))
    with live_server(make_app()) as live:
        report = asyncio.run(attack(live, _COUNT))
    assert report.answers.total() >= _COUNT
    assert report.is_clean, [*report.unexpected[:3], *report.leaks[:3], report.changed_rows]
    assert {name.split()[0] for name in report.answers} == {"REST", "gRPC"}


def test_without_the_rule_it_does(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LetterResource, "visible_to", lambda _self, _principal: True)
    db.connect(f"sqlite:///{tmp_path / 'db.sqlite3'}")
    with live_server(make_app()) as live:
        report = asyncio.run(attack(live, 300))
    assert report.leaks
    assert report.changed_rows
