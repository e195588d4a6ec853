"""The git repo of protos: contracts at one commit, read from its objects."""

from __future__ import annotations

import difflib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from bali_cli.console import abort
from bali_cli.git import attempt_git, git, is_url, without_secrets
from bali_cli.proto_source import fetch_commit, git_folder, local_commit

__all__ = ["ProtoRepo"]

_FILE_MODES = ("100644", "100755")


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class ProtoRepo:
    """A repo of protos at `commit`.

    `source` is what the user called it, without a password; `folder` has its objects. Files are
    read from these, so what is edited in a working copy and not committed is never seen.
    """

    source: str
    folder: Path
    commit: str
    objects: Mapping[str, str]

    @classmethod
    def open(cls, source: str, ref: str | None = None) -> ProtoRepo:
        """Return the repo at `source` as it is at `ref`.

        `source` is the folder of a working copy, a bare repo, or an address that git can fetch; the
        latter is fetched into a temporary folder that goes with the object. `ref` is a branch, a
        tag or a commit; without it the default branch is meant: that of the remote where it is
        known, else the one that is checked out.

        Ends the process with a message when there is no such repo, it does not answer, it has no
        commit, its default branch cannot be told, and when it does not have `ref`.
        """
        shown = without_secrets(source)
        if is_url(source):
            folder = Path(tempfile.mkdtemp(prefix="bali-proto-"))
            try:
                commit = fetch_commit(source, ref, folder)
                repo = cls.at(shown, folder, commit)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            weakref.finalize(repo, shutil.rmtree, folder, ignore_errors=True)
            return repo
        folder = git_folder(source)
        return cls.at(shown, folder, local_commit(shown, folder, ref))

    @classmethod
    def at(cls, source: str, folder: Path, commit: str) -> ProtoRepo:
        """Return the repo whose git folder is `folder` as it is at the full hash `commit`."""
        listing = git("ls-tree", "-r", "-z", "--full-tree", commit, folder=folder)
        objects = {}
        for entry in filter(None, listing.split("\0")):
            about, path = entry.split("\t", 1)
            mode, _, name = about.split(" ")
            if mode in _FILE_MODES:  # neither a link nor a submodule
                objects[path] = name
        return cls(source=source, folder=folder, commit=commit, objects=objects)

    def files(self, prefix: str = "") -> list[str]:
        """Return the paths of the files below the folder `prefix` (or of this file), sorted."""
        below = prefix.rstrip("/") + "/"
        return sorted(
            path
            for path in self.objects
            if not prefix or path == prefix.rstrip("/") or path.startswith(below)
        )

    def read(self, path: str) -> bytes:
        """Return the content of a file, byte for byte.

        Ends the process, naming files that are spelled alike, when there is no such file.
        """
        if path not in self.objects:
            near = difflib.get_close_matches(path, self.objects, n=3)
            abort(
                f"there is no file {path} in {self}.\n"
                + (f"There is {', '.join(near)}." if near else self._contents())
            )
        return self.read_all([path])[path]

    def read_all(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of files that there are, by path: one run of git for all."""
        wanted = [(path, self.objects[path]) for path in paths]
        asked = "".join(f"{name}\n" for _, name in wanted).encode()
        outcome = attempt_git("cat-file", "--batch", folder=self.folder, given=asked)
        outcome.refuse()
        answer = BytesIO(
            outcome.output
        )  # for each: `<name> blob <size>`, the content, a line break
        contents = {}
        for path, name in wanted:
            about = answer.readline().split()
            if len(about) != 3:  # noqa: PLR2004 - `<name> missing`
                abort(f"the repo {self.source} is damaged: {path} ({name}) cannot be read.")
            contents[path] = answer.read(int(about[2]))
            answer.read(1)
        return contents

    def find_contract(self, name: str) -> str:
        """Return the path of the .proto of the service `name`.

        It is `user/user.proto` (for `order-item` also `order_item/order_item.proto`), or else the
        only .proto below that folder. Ends the process, naming what there is, without one.
        """
        spellings = dict.fromkeys((name, name.replace("-", "_"), name.replace("_", "-")))
        for folder in spellings:
            for stem in spellings:
                if (path := f"{folder}/{stem}.proto") in self.objects:
                    return path
        below = {folder: self._protos_below(folder) for folder in spellings}
        several = [paths for paths in below.values() if len(paths) > 1]
        if several:
            abort(
                f"there are several contracts of {name} in {self}: {', '.join(several[0])}.\n"
                f"Name that of the service {name}/{name}.proto."
            )
        only = [path for paths in below.values() for path in paths]
        if not only:
            near = difflib.get_close_matches(name, self._services(), n=3)
            abort(
                f"there is no file {name}/{name}.proto in {self}.\n"
                + (f"Did you mean {' or '.join(near)}?" if near else self._contents())
            )
        return only[0]

    def export(self, paths: Iterable[str], target: Path) -> list[str]:
        """Write contracts, and what they import of the repo, below `target`; return all paths.

        A contract keeps its path (`target/user/user.proto`). Ends the process when one does not
        compile: with the file, the line and what protoc says.
        """
        from bali_cli.protoc import ProtocError, descriptor_set  # loads the compiler

        wanted = list(paths)
        for path in wanted:
            self.read(path)  # a name that is wrong is told by its own message
        with tempfile.TemporaryDirectory(prefix="bali-proto-") as name:
            everything = Path(name).resolve()
            self._write((path for path in self.objects if path.endswith(".proto")), everything)
            try:
                compiled = descriptor_set([everything / path for path in wanted], everything)
            except ProtocError as error:
                said = str(error).replace(f"{everything}/", "")
                abort(f"the contract in {self} does not compile.\n{said}")
        needed = sorted(file.name for file in compiled.file if file.name in self.objects)
        self._write(needed, target)
        return needed

    def _write(self, paths: Iterable[str], target: Path) -> None:
        contents = self.read_all(paths)
        for path in contents:
            if not _is_tame(path):
                abort(
                    f"the name of the file {path!r} in {self} leads elsewhere; nothing is written."
                )
        for path, content in contents.items():
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def _protos_below(self, folder: str) -> list[str]:
        return [path for path in self.files(folder) if path.endswith(".proto")] if folder else []

    def _services(self) -> list[str]:
        return sorted({path.split("/")[0] for path in self.objects if path.endswith(".proto")})

    def _contents(self) -> str:
        services = self._services()
        if not services:
            return "It has no .proto at all; `bali publish` in the folder of a service brings one."
        shown = ", ".join(services[:20])
        return f"It has contracts of {shown}{', ...' if len(services) > 20 else ''}."  # noqa: PLR2004

    def __str__(self) -> str:
        return f"{self.source} at {self.commit[:12]}"


def _is_tame(path: str) -> bool:
    """Tell whether a path of a git tree stays below the folder it is written to.

    Git refuses to make such trees; who makes one by hand means no good.
    """
    parts = PurePosixPath(path).parts
    return not (path.startswith("/") or {"..", ".git"} & {part.lower() for part in parts})
