"""The comments of a .proto, as docstrings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.descriptor_pb2 import FileDescriptorProto

__all__ = ["Comments"]


class Comments:
    """Finds the comment of an element by its path in the descriptor (descriptor.proto)."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._found: Mapping[tuple[int, ...], str] = {
            tuple(place.path): place.leading_comments or place.trailing_comments
            for place in file.source_code_info.location
            if place.leading_comments or place.trailing_comments
        }

    def lines(self, *path: int) -> tuple[str, ...]:
        """Return the lines of a comment, safe within a docstring; none when there is no comment."""
        text = self._found.get(path, "")
        return safe_lines([line.removeprefix(" ") for line in text.splitlines()])


def safe_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return lines without what could end a docstring, or is no text; blank ends are dropped."""
    cleaned = [
        "".join(
            character if character.isprintable() else " "
            for character in line.replace("\\", "\\\\").replace('"""', "'''")
        ).rstrip()
        for line in lines
    ]
    while cleaned and not cleaned[0]:
        cleaned.pop(0)
    while cleaned and not cleaned[-1]:
        cleaned.pop()
    if cleaned and cleaned[-1].endswith('"'):
        cleaned[-1] += "."
    return tuple(cleaned)
