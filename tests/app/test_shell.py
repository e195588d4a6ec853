from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Mapped, mapped_column

from bali import Bali, Database, ModelResource
from bali.app.shell import names_at_hand, run_shell


def app_with(folder: Path, **names: str) -> tuple[Bali, dict[str, Any]]:
    """Make an app with one model and resource, named as wanted."""
    db: Any = Database(f"sqlite:///{folder / 'shell.sqlite3'}")
    columns = {"__annotations__": {"id": Mapped[int]}, "id": mapped_column(primary_key=True)}
    model = type(db.Model)(names.get("model", "Thing"), (db.Model,), {"__module__": "x", **columns})
    resource = type(names.get("resource", "ThingResource"), (ModelResource,), {"model": model})
    return Bali(title="thing", resources=[resource]), {"db": db, "model": model, "it": resource}


def test_models_and_resources_go_by_the_names_of_their_classes(tmp_path: Path) -> None:
    app, made = app_with(tmp_path)
    names = names_at_hand(app)
    assert names["Thing"] is made["model"]
    assert names["ThingResource"] is made["it"]
    assert (names["app"], names["db"], names["settings"]) == (app, made["db"], app.configuration)
    assert names["call"] == app.call


@pytest.mark.parametrize("name", ["app", "db", "call", "settings"])
def test_what_is_always_there_goes_before_a_model_of_its_name(tmp_path: Path, name: str) -> None:
    app, made = app_with(tmp_path, model=name)
    assert names_at_hand(app)[name] is not made["model"]


def test_code_runs_between_the_tables_and_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, _ = app_with(tmp_path)
    assert run_shell(app, "print(await Thing.aio.count())") == 0
    assert run_shell(app, "await Thing.aio.count()\nraise LookupError('gone')") == 1
    printed = capsys.readouterr()
    assert printed.out == "0\n"
    assert printed.err.endswith("LookupError: gone\n")
