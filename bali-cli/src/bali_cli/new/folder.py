"""Writing a new service to disk: all of it or nothing."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["BadTarget", "check_target", "staged"]

#: What a target may have already: one that was made to be cloned is as good as empty.
_MAY_BE_THERE = frozenset({".git"})


class BadTarget(ValueError):
    """Nothing can be written there; the text says why, and what would be right."""


def check_target(target: Path, *, ours: Path | None = None) -> None:
    """Return when a service may be written to `target`: an empty folder, or a new one.

    `ours` may be in it already. Raises `BadTarget` when it is something else.
    """
    if target.is_dir():
        strange = (path for path in target.iterdir() if path != ours)
        found = sorted(path.name for path in strange if path.name not in _MAY_BE_THERE)
        if found:
            more = "" if len(found) == 1 else f" and {len(found) - 1} more"
            raise BadTarget(
                f"{target} is not empty: it has {found[0]}{more}. Nothing is ever overwritten; "
                "name another folder with --directory"
            )
    elif target.exists():
        raise BadTarget(f"{target} is a file; name another folder with --directory")
    elif not target.parent.is_dir():
        what = "is not a folder" if target.parent.exists() else "does not exist"
        raise BadTarget(f"{target.parent} {what}; make it first, or name another with --directory")


@contextlib.contextmanager
def staged(target: Path, files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write files to a folder for the time being, which becomes `target` when the block ends well.

    The block may add to the folder that it gets. When it fails, or the folder cannot become the
    target, nothing is left behind. Raises `BadTarget` for a target that somebody else has filled
    meanwhile, `OSError` for what the machine refuses.
    """
    # In the target when it exists: what is beside it may be another disk, or somebody else's.
    place = target if target.is_dir() else target.parent
    staging = place / f".{target.name}.{secrets.token_hex(4)}"
    staging.mkdir()
    try:
        for path, content in files.items():
            file = staging / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        yield staging
        check_target(target, ours=staging)
        _become(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _become(staging: Path, target: Path) -> None:
    if not target.exists():
        try:
            staging.rename(target)
        except OSError:
            check_target(target)  # tells better what somebody else has put there since
            raise
        return
    moved: list[Path] = []
    try:
        for item in sorted(staging.iterdir()):
            destination = target / item.name
            item.rename(destination)
            moved.append(destination)
    except OSError:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
