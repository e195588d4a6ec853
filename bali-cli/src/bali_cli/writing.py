"""Writing several files so that all of them are there, or none."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["write_all"]


def write_all(contents: Mapping[Path, bytes], *, remove: Iterable[Path] = ()) -> list[Path]:
    """Write files whose content differs and remove others; return the paths that changed.

    Everything is written beside its place first, so that a full disk or a folder that may not be
    written to leaves every file as it was. Raises `OSError` for those.
    """
    changed = {path: new for path, new in contents.items() if _content(path) != new}
    staged: dict[Path, Path] = {}
    try:
        for path, content in changed.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            staged[path] = beside
            beside.write_bytes(content)
        for path, beside in staged.items():
            beside.replace(path)
    finally:
        for beside in staged.values():
            beside.unlink(missing_ok=True)
    gone = [path for path in remove if path not in contents and path.is_file()]
    for path in gone:
        path.unlink()
        with suppress(OSError):  # a folder that has other files stays
            path.parent.rmdir()
    return [*changed, *gone]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
