"""Which .proto of a service is its contract, and where it goes."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from bali_cli.project import Project
from bali_cli.publish.contract import contract_of


def project(folder: Path, *files: str, name: str = "user", settings: str = "") -> Project:
    root = folder / name
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file, encoding="utf-8")
    root.mkdir(exist_ok=True)
    if settings:
        (root / "pyproject.toml").write_text(settings, encoding="utf-8")
    return Project(root=root)


@pytest.mark.parametrize(
    ("files", "service", "paths"),
    [
        (["protos/user.proto"], "user", ["user/user.proto"]),
        (["services/rpc/user.proto"], "user", ["user/user.proto"]),
        (["protos/.gitkeep", "services/rpc/user.proto"], "user", ["user/user.proto"]),
        (["protos/user.proto", "services/rpc/old.proto"], "user", ["user/user.proto"]),
        (["protos/account.proto"], "account", ["account/account.proto"]),
        (["protos/größe.proto"], "größe", ["größe/größe.proto"]),
        (["protos/user/user.proto"], "user", ["user/user.proto"]),
        (["protos/user/v1/api.proto", "protos/order/o.proto"], "user", ["user/v1/api.proto"]),
        (
            ["protos/user.proto", "protos/types.proto"],
            "user",
            ["user/types.proto", "user/user.proto"],
        ),
        (["protos/user.proto", "protos/user/a.proto"], "user", ["user/a.proto", "user/user.proto"]),
        (["protos/user.proto", "protos/google/type/date.proto"], "user", ["user/user.proto"]),
    ],
)
def test_the_contract_goes_to_the_folder_of_its_service(
    tmp_path: Path, files: list[str], service: str, paths: list[str]
) -> None:
    contract = contract_of(project(tmp_path, *files))
    assert (contract.service, sorted(contract.sources)) == (service, paths)
    assert all(path.read_bytes() for path in contract.sources.values())


@pytest.mark.parametrize("settings", ['[project]\nname = "order-item"\n', ""])
def test_a_service_of_several_words_is_found_by_its_name(tmp_path: Path, settings: str) -> None:
    files = ("protos/order_item.proto", "protos/types.proto")
    name = "repo" if settings else "order-item"
    contract = contract_of(project(tmp_path, *files, name=name, settings=settings))
    assert contract.service == "order_item"


@pytest.mark.parametrize("settings", ["not = [toml", "project = 3", "[project]\nname = 3\n"])
def test_settings_that_say_nothing_are_no_hindrance(tmp_path: Path, settings: str) -> None:
    assert contract_of(project(tmp_path, "protos/a.proto", settings=settings)).service == "a"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "`bali build` writes it"),
        (["protos/google/type/date.proto"], "`bali build` writes it"),
        (["protos/a.proto", "protos/b.proto"], "user.proto"),
        (["protos/a/a.proto", "protos/b/b.proto"], "user.proto"),
        (["protos/-x.proto"], "cannot be the name of a service"),
        (["protos/..proto"], "cannot be the name of a service"),
        (["protos/a b.proto"], "cannot be the name of a service"),
        (["protos/a\nb.proto"], "cannot be the name of a service"),
        (["protos/a:b.proto"], "cannot be the name of a service"),
        (["protos/...proto"], "cannot be the name of a service"),
        (["protos/user.proto", "protos/user/user.proto"], "would both be user/user.proto"),
    ],
)
def test_what_is_no_contract_is_refused(
    tmp_path: Path, files: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        contract_of(project(tmp_path, *files))
    assert message in capsys.readouterr().err
