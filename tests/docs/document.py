"""Reads a Markdown document as the list of blocks that it asks a reader to run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_DIRECTIVE = re.compile(r"\s*(\w+):(.*)", re.DOTALL)


class DocumentError(Exception):
    """Something in a document is not right; the text begins with the place, `file:line`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One fenced block, with what the comments right before it say."""

    place: str
    line: int
    """The line of the block's first line of text, counted from one."""
    language: str
    text: str
    title: str | None = None
    serves: str | None = None
    skip: str | None = None


def read_document(path: Path) -> list[Block]:
    """Return the fenced blocks of a document in their order.

    Raises DocumentError for a directive that is unknown or says nothing, such as a skip without a
    reason, and for a block without a language.
    """
    blocks: list[Block] = []
    directives: dict[str, str] = {}
    for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        place = f"{path.name}:{line}"
        if token.type == "html_block":
            directives |= _directives(token.content)
        elif token.type == "fence":
            blocks.append(_block(place, line + 1, token.info, token.content, directives))
            directives = {}
        elif directives and token.nesting >= 0:
            raise DocumentError(f"{place}: {sorted(directives)} stands before no block")
    return blocks


def _directives(html: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for comment in _COMMENT.findall(html):
        if match := _DIRECTIVE.fullmatch(comment):
            found[match[1]] = " ".join(match[2].split())
    return found


def _block(place: str, line: int, info: str, text: str, directives: dict[str, str]) -> Block:
    language, *options = shlex.split(info) or [""]
    title = None
    for option in options:
        name, _, value = option.partition("=")
        if name != "title" or not value:
            raise DocumentError(f"{place}: {option!r} is not understood, only title=FILE")
        title = value
    if not language:
        raise DocumentError(f"{place}: the block has no language; `text` is for people alone")
    for name, value in directives.items():
        if name not in {"serves", "skip"}:
            raise DocumentError(f"{place}: <!-- {name}: --> is unknown, there are serves and skip")
        if not value:
            raise DocumentError(f"{place}: <!-- {name}: --> says nothing, it wants a value")
    return Block(
        place=place,
        line=line,
        language=language,
        text=text,
        title=title,
        serves=directives.get("serves"),
        skip=directives.get("skip"),
    )
