"""Google's common .proto as their imports call them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["google_protos", "renamed_protos"]

#: Files that their Python package has under another name than everybody imports.
_RENAMED = {
    "google/longrunning/operations_proto.proto": "google/longrunning/operations.proto",
}


@cache
def google_protos() -> Mapping[str, bytes]:
    """Return the files of google/api, google/type and their kin; without google/protobuf."""
    spec = find_spec("google.api")
    roots = {Path(place).parents[1] for place in (spec and spec.submodule_search_locations) or ()}
    found = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for root in sorted(roots)
        for path in sorted((root / "google").rglob("*.proto"))
        if "protobuf" not in path.parts
    }
    return {_RENAMED.get(name, name): content for name, content in found.items()}


def renamed_protos() -> Mapping[str, bytes]:
    """Return those files that are not found by their names in an include folder."""
    return {name: google_protos()[name] for name in _RENAMED.values() if name in google_protos()}
