"""The repo of protos, read from real repos: working copies, bare ones and addresses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import typer

from bali_cli.proto_repo import ProtoRepo
from tests.cli.repos import USER, Refusal, Repos

TYPES = 'syntax = "proto3";\n\npackage common;\n\nmessage Money {\n  int64 units = 1;\n}\n'
ORDER = (
    'syntax = "proto3";\n\npackage order;\n\nimport "common/types.proto";\n'
    'import "google/api/annotations.proto";\nimport "google/protobuf/timestamp.proto";\n\n'
    "message Order {\n  common.Money price = 1;\n  google.protobuf.Timestamp time = 2;\n}\n"
)


@pytest.fixture(params=["working copy", "bare", "file URL"])
def source(request: pytest.FixtureRequest, repos: Repos) -> str:
    """The ways to name the same repo: its first commit, a second one, a tag and a branch."""
    folder = repos.make(branch="trunk")
    repos.commit(folder, {"user/user.proto": USER})
    repos.git(folder, "tag", "v1")
    repos.git(folder, "checkout", "-q", "-b", "next")
    repos.commit(folder, {"user/user.proto": "next"})
    repos.git(folder, "checkout", "-q", "trunk")
    repos.commit(folder, {"order/order.proto": ORDER, "common/types.proto": TYPES})
    if request.param == "working copy":
        return str(folder)
    repos.git(repos.folder, "clone", "-q", "--bare", "proto", "bare.git")
    path = repos.folder / "bare.git"
    return str(path) if request.param == "bare" else path.as_uri()


def test_reads_the_default_branch_whatever_its_name(source: str) -> None:
    repo = ProtoRepo.open(source)
    assert len(repo.commit) == 40
    assert repo.files() == ["common/types.proto", "order/order.proto", "user/user.proto"]
    assert repo.files("user") == repo.files("user/") == ["user/user.proto"]
    assert repo.files("use") == []
    assert repo.read("user/user.proto") == USER.encode()


@pytest.mark.parametrize(
    ("ref", "content"), [("next", "next"), ("v1", USER), ("trunk~1", USER), ("next~1", USER)]
)
def test_reads_a_branch_a_tag_and_what_is_before_it(source: str, ref: str, content: str) -> None:
    assert ProtoRepo.open(source, ref).read("user/user.proto") == content.encode()


def test_reads_a_commit_by_its_hash_long_or_short(source: str) -> None:
    commit = ProtoRepo.open(source, "v1").commit
    for ref in (commit, commit[:8]):
        repo = ProtoRepo.open(source, ref)
        assert (repo.commit, repo.files()) == (commit, ["user/user.proto"])


@pytest.mark.parametrize(
    "ref", ["trunc", "0" * 40, "--help", "-n", "", "a b", "v1:user/user.proto"]
)
def test_an_unknown_ref_is_refused_with_what_there_is(
    source: str, ref: str, refusal: Refusal
) -> None:
    message = refusal.of(source, ref)
    assert f"has no branch, tag or commit {ref!r}" in message
    assert "trunk" in message


def test_what_is_not_committed_is_never_read(repos: Repos) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER})
    (folder / "user/user.proto").write_text("edited")
    (folder / "user/new.proto").write_text("new")
    repos.git(folder, "add", ".")
    repo = ProtoRepo.open(str(folder))
    assert repo.files() == ["user/user.proto"]
    assert repo.read("user/user.proto") == USER.encode()


def test_bytes_come_as_they_are(repos: Repos) -> None:
    folder = repos.make()
    content = b"// \xff\x00\r\n" + "größe\n".encode() * 2
    repos.commit(folder, {"user/größe.proto": content, "user/empty.proto": ""})
    (folder / ".gitattributes").write_text("* text eol=crlf\n")
    repo = ProtoRepo.open(str(folder))
    assert repo.read("user/größe.proto") == content
    assert repo.read("user/empty.proto") == b""


def test_a_missing_file_names_near_ones(repos: Repos, refusal: Refusal) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER, "order/order.proto": ORDER})
    repo = ProtoRepo.open(str(folder))
    for ask in (lambda: repo.read("user/usr.proto"), lambda: repo.find_contract("usr")):
        with pytest.raises(typer.Exit):
            ask()
        message = refusal.text()
        assert "user" in message
        assert repo.commit[:12] in message
    with pytest.raises(typer.Exit):
        repo.find_contract("zzz")
    assert "It has contracts of order, user." in refusal.text()


@pytest.mark.parametrize(
    ("files", "name", "found"),
    [
        (["user/user.proto", "user/types.proto"], "user", "user/user.proto"),
        (["user/v1/api.proto", "user/README"], "user", "user/v1/api.proto"),
        (["order_item/order_item.proto"], "order-item", "order_item/order_item.proto"),
        (["order-item/order_item.proto"], "order_item", "order-item/order_item.proto"),
        (["order-item/api.proto", "order/order.proto"], "order_item", "order-item/api.proto"),
    ],
)
def test_a_contract_is_found_by_the_name_of_its_service(
    repos: Repos, files: list[str], name: str, found: str
) -> None:
    folder = repos.make()
    repos.commit(folder, {"other/other.proto": "x", **dict.fromkeys(files, "x")})
    assert ProtoRepo.open(str(folder)).find_contract(name) == found


@pytest.mark.parametrize("name", ["", ".", "..", "../user", "user/user", "-", "\n", "user\0"])
def test_a_hostile_name_finds_nothing(repos: Repos, refusal: Refusal, name: str) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER, "top.proto": "x"})
    repo = ProtoRepo.open(str(folder))
    with pytest.raises(typer.Exit):
        repo.find_contract(name)
    assert "there is no file" in refusal.text()


def test_several_contracts_of_one_service_are_told(repos: Repos, refusal: Refusal) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/a.proto": "x", "user/b.proto": "x"})
    repo = ProtoRepo.open(str(folder))
    with pytest.raises(typer.Exit):
        repo.find_contract("user")
    assert "several contracts of user" in refusal.text()


def test_export_writes_a_contract_with_what_it_imports_of_the_repo(
    repos: Repos, tmp_path: Path
) -> None:
    folder = repos.make()
    others = {"user/user.proto": USER, "broken/broken.proto": "{"}
    repos.commit(folder, {"order/order.proto": ORDER, "common/types.proto": TYPES, **others})
    target = tmp_path / "target"
    paths = ProtoRepo.open(str(folder)).export(["order/order.proto"], target)
    assert paths == ["common/types.proto", "order/order.proto"]
    assert sorted(file for file in target.rglob("*") if file.is_file()) == [
        target / path for path in paths
    ]
    assert (target / "order/order.proto").read_text() == ORDER


def test_export_of_what_does_not_compile_names_the_line_and_writes_nothing(
    repos: Repos, refusal: Refusal, tmp_path: Path
) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": f"{USER}message {{\n"})
    target = tmp_path / "target"
    repo = ProtoRepo.open(str(folder))
    with pytest.raises(typer.Exit):
        repo.export(["user/user.proto"], target)
    assert "user/user.proto:28:9" in refusal.text()
    assert not target.exists()


def test_links_are_no_contracts(repos: Repos, refusal: Refusal) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER})
    (folder / "link.proto").symlink_to("/etc/passwd")
    repos.git(folder, "add", ".")
    repos.git(folder, "commit", "-q", "-m", "Link")
    assert ProtoRepo.open(str(folder)).files() == ["user/user.proto"]


def test_a_tree_that_leads_elsewhere_is_not_written(
    repos: Repos, refusal: Refusal, tmp_path: Path
) -> None:
    folder = repos.make()
    blob = repos.commit(folder, {"user.proto": 'syntax = "proto3";\n'})
    blob = repos.git(folder, "rev-parse", "HEAD:user.proto")
    entry = b"100644 evil.proto\0" + bytes.fromhex(blob)
    tree = _object(folder, "tree", entry)
    top = _object(folder, "tree", b"40000 ..\0" + bytes.fromhex(tree))
    commit = repos.git(folder, "commit-tree", "-m", "Evil", top)
    target = tmp_path / "deep/target"
    repo = ProtoRepo.open(str(folder), commit)
    assert repo.files() == ["../evil.proto"]
    with pytest.raises(typer.Exit):
        repo.export(["../evil.proto"], target)
    assert "leads elsewhere" in refusal.text()
    assert not (tmp_path / "deep").exists()


def _object(folder: Path, kind: str, content: bytes) -> str:
    ran = subprocess.run(
        ["git", "hash-object", "-t", kind, "-w", "--stdin", "--literally"],
        cwd=folder,
        input=content,
        capture_output=True,
        check=True,
    )
    return ran.stdout.decode().strip()


def test_what_is_fetched_goes_with_the_object(repos: Repos) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER})
    repo = ProtoRepo.open(folder.as_uri())
    place = repo.folder
    assert place.is_dir()
    del repo
    assert not place.exists()
