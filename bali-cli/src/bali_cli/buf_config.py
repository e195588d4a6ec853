"""The rules that buf goes by: those of the service's buf.yaml, or ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bali_cli.console import abort
from bali_cli.project import Project

__all__ = ["BufConfig", "config_of"]

_LINT = {
    "use": ["STANDARD"],
    "except": [
        "FIELD_LOWER_SNAKE_CASE",  # declared filters are age__gte, on every protocol
        "PACKAGE_DIRECTORY_MATCH",  # a service has its .proto in protos/, whatever its package
        "PACKAGE_VERSION_SUFFIX",  # user.UserService, not user.v1.UserService
        "RPC_REQUEST_RESPONSE_UNIQUE",  # GetUser and CreateUser return the same User
        "RPC_REQUEST_STANDARD_NAME",  # methods may share a request, as those of the first bali do
        "RPC_RESPONSE_STANDARD_NAME",  # AIP-131: get returns the resource itself
    ],
}
_BREAKING = {"use": ["FILE"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class BufConfig:
    """The rules for lint and breaking changes. `folder` is where their buf.yaml is, if any."""

    version: str = "v2"
    folder: Path | None = None
    lint: Mapping[str, Any] | None = None
    breaking: Mapping[str, Any] | None = None

    def settings(self, sources: Mapping[str, Path], module: str) -> dict[str, dict[str, Any]]:
        """Return the files of settings for a workspace with the folders `module` and `include`.

        `sources` tells where the files of the module lie in the service: the paths to ignore are
        those of the service, and become those of the module.
        """
        rules = {
            "lint": self._moved(_completed(self.lint, _LINT), sources, module),
            "breaking": self._moved(_completed(self.breaking, _BREAKING), sources, module),
        }
        folders = [module, "include"]
        if self.version == "v2":
            modules = [{"path": folder} for folder in folders]
            return {"buf.yaml": {"version": "v2", "modules": modules, **rules}}
        return {
            "buf.work.yaml": {"version": "v1", "directories": folders},
            f"{module}/buf.yaml": {"version": self.version, **rules},
        }

    def _moved(
        self, rules: Mapping[str, Any], sources: Mapping[str, Path], module: str
    ) -> dict[str, Any]:
        moved = dict(rules)
        prefix = f"{module}/" if self.version == "v2" else ""
        if self.folder is None:
            return moved
        below = partial(_below, self.folder, sources, prefix)
        if (ignored := moved.pop("ignore", None)) and (paths := below(ignored)):
            moved["ignore"] = paths
        only = {
            rule: paths
            for rule, entries in (moved.pop("ignore_only", None) or {}).items()
            if (paths := below(entries))
        }
        return moved | ({"ignore_only": only} if only else {})


def _completed(own: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules of a buf.yaml; where it does not say which to use, ours less its own."""
    if own is None or "use" in own:
        return dict(ours if own is None else own)
    left_out = [*ours.get("except", ()), *(own.get("except") or ())]
    return {**ours, **own, **({"except": sorted(set(left_out))} if left_out else {})}


def config_of(project: Project) -> BufConfig:
    """Return the rules of the service: those of its buf.yaml, at the top or beside its .proto.

    Where that file does not say which rules to use, ours are, with its exceptions. Ends the
    process when it cannot be read.
    """
    folders = [project.root, *project.proto_folders()]
    for folder in folders:
        for name in ("buf.yaml", "buf.yml"):
            if (file := folder / name).is_file():
                return _read(file, project)
    return BufConfig()


def _read(file: Path, project: Project) -> BufConfig:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        abort(f"{file} is not YAML: {error}")
    if not isinstance(content, dict) or content.get("version") not in {"v1beta1", "v1", "v2"}:
        abort(f"{file} is no configuration of buf: its `version` has to be v1 or v2.")
    own = _module(content, file.parent, project)
    return BufConfig(
        version=content["version"],
        folder=file.parent,
        lint=own.get("lint") or content.get("lint"),
        breaking=own.get("breaking") or content.get("breaking"),
    )


def _module(content: Mapping[str, Any], folder: Path, project: Project) -> Mapping[str, Any]:
    """Return the module of a version 2 file that has the .proto of the service."""
    protos = [path.resolve() for path in project.proto_folders()]
    modules = content.get("modules")
    for module in modules if isinstance(modules, list) else []:
        if isinstance(module, dict) and isinstance(module.get("path"), str):
            place = (folder / module["path"]).resolve()
            if any(path.is_relative_to(place) or place.is_relative_to(path) for path in protos):
                return module
    return {}


def _below(
    folder: Path, sources: Mapping[str, Path], prefix: str, entries: Sequence[str]
) -> list[str]:
    """Return the files, as the module has them, that lie in the service below one of `entries`."""
    places = [(folder / entry).resolve() for entry in entries]
    return sorted(
        prefix + path
        for path, source in sources.items()
        if any(source.resolve().is_relative_to(place) for place in places)
    )
