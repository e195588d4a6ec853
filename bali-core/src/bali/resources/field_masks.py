"""What the masks of a request have in common: paths of fields, within bounds (AIP-161)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import MaxLen
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from bali.resources.requests import FieldMask
from bali.resources.values import MAX_NAME_LENGTH

__all__ = ["bounded_mask"]

_MAX_PATH_LENGTH = 256
_MAX_PATH_NAMES = 32


def bounded_mask(max_paths: int, check: Callable[[list[str]], list[str]] | None = None) -> Any:
    """Return the annotation of a mask of so many paths, each of a length that a field may have.

    `check` is called with the paths of one that is within its bounds.
    """

    def checked(paths: list[str]) -> list[str]:
        for path in paths:
            if len(path) > _MAX_PATH_LENGTH or path.count(".") >= _MAX_PATH_NAMES:
                text = f"{path[:MAX_NAME_LENGTH]!r} is too long for the path of a field"
                raise PydanticCustomError("too_long", "{text}", {"text": text})
        return paths if check is None else check(paths)

    return Annotated[FieldMask, MaxLen(max_paths), AfterValidator(checked)]
