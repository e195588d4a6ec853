"""What runs has the numbers of the committed contract."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import create_model

from bali import Bali, Resource, action
from bali.app.contract import contract_name, lock_path
from bali.errors import ConfigurationError
from bali.proto.descriptors import build_file
from bali.settings import Settings, Stage


def app_with(stage: Stage = Stage.DEV, package: str | None = None, **fields: Any) -> Bali:
    """Return an app with one action that takes these fields."""
    definitions: dict[str, Any] = {name: (kind, ...) for name, kind in fields.items()}

    def send(self: Any, schema_in: Any) -> str:
        return str((self, schema_in))

    send.__annotations__["schema_in"] = create_model("Ask", **definitions)
    resource = type("PingResource", (Resource,), {"send": action()(send), "__module__": __name__})
    settings = Settings(stage=stage, secret_key="x" * 40)
    return Bali(title="ping", resources=[resource], settings=settings, package=package)


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock of a service whose folder is where modules are imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / lock_path("ping")
    path.parent.mkdir(parents=True)
    return path


def commit(path: Path, app: Bali) -> None:
    assert app.code_first_shape is not None
    path.write_bytes(build_file(app.code_first_shape).SerializeToString())


def numbers(app: Bali) -> dict[str, int]:
    assert app.services.bound is not None
    message = app.services.bound.file.message_types_by_name["SendPingsRequest"]
    return {field.name: field.number for field in message.fields}


def test_numbers_are_those_of_the_committed_contract(lock: Path) -> None:
    commit(lock, app_with(a=int, b=str))
    assert numbers(app_with(c=int, b=str, a=int)) == {"a": 1, "b": 2, "c": 3}


def test_without_a_contract_they_follow_the_declaration(lock: Path) -> None:
    assert not lock.exists()
    assert numbers(app_with(b=str, a=int)) == {"b": 1, "a": 2}


def test_what_contradicts_the_contract_is_refused_at_start(lock: Path) -> None:
    commit(lock, app_with(a=int))
    with pytest.raises(
        ConfigurationError, match=r"ping\.binpb: field SendPingsRequest\.a is int64 there and str"
    ):
        _ = app_with(a=str).services


def test_contract_of_another_package_is_none_of_ours(lock: Path) -> None:
    commit(lock, app_with(a=int, b=str, package="other"))
    assert numbers(app_with(b=str, a=int)) == {"b": 1, "a": 2}


def test_damaged_contract_is_refused_with_what_to_do(lock: Path) -> None:
    lock.write_bytes(b"\xff\xff\xff")
    with pytest.raises(ConfigurationError, match=r"ping\.binpb is damaged.*run `bali build`"):
        _ = app_with(a=int).services


@pytest.mark.parametrize("stage", Stage)
def test_deployed_service_that_is_not_as_committed_warns(
    lock: Path, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    commit(lock, app_with(a=int))
    with caplog.at_level(logging.WARNING, logger="bali.app"):
        _ = app_with(stage, a=int).services
        assert caplog.messages == []
        _ = app_with(stage, a=int, b=int).services
    is_deployed = stage in (Stage.STAGING, Stage.PROD)
    assert [("run `bali build`" in text) for text in caplog.messages] == [True] * is_deployed


def test_contract_is_called_what_protobuf_and_python_allow() -> None:
    assert contract_name("user", "acme.user.v1") == "user"
    assert contract_name("2nd", "acme.user.v1") == "acme_user_v1"
    assert contract_name("bücherei", "library") == "library"
    assert lock_path("user").as_posix() == "services/rpc/user.binpb"
