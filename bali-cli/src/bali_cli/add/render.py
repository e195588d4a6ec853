"""From records to the text of Python modules."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

import jinja2

from bali_cli.add.records import Contract, FileRecord, Import

__all__ = ["render"]

_WIDTH = 92


def render(contract: Contract) -> dict[str, str]:
    """Return the text of each module, by its path below `intermediates/`.

    Of every file of the contract the schemas, and of every file with services the clients and
    their fakes.
    """
    modules: dict[str, str] = {}
    for file in contract.files:
        stem = "/".join(file.module)
        values = {"file": file, "contract": contract}
        modules[f"{stem}_schema.py"] = _rendered("schema.py.jinja", **values)
        if file.services:
            modules[f"{stem}_client.py"] = _rendered("client.py.jinja", **values)
            modules[f"{stem}_fake.py"] = _rendered("fake.py.jinja", **values)
        for depth in range(1, len(file.module)):
            package = "/".join(file.module[:depth])
            modules.setdefault(f"{package}/__init__.py", _PACKAGE)
    return dict(sorted(modules.items()))


_PACKAGE = '"""Written by `bali add`; do not edit."""\n'


def _rendered(template: str, **values: object) -> str:
    return _environment().get_template(template).render(values).rstrip() + "\n"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bali_cli", "templates/client"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python is written here; comments are made safe (`comments`)
    )
    environment.filters |= {
        "absolute_imports": _absolute,
        "client_annotations": _client_annotations,
        "docstring": _docstring,
        "mentions": _mentions,
        "relative_imports": _relative,
        "uses": _uses,
    }
    return environment


def _docstring(lines: Iterable[str], indent: int, default: str) -> str:
    """Return a docstring of comment lines, which are safe already."""
    first, *rest = list(lines) or [default]
    margin = " " * indent
    if not rest and len(first) + indent <= _WIDTH:
        return f'{margin}"""{first}"""'
    body = "".join(f"{margin}{line}".rstrip() + "\n" for line in rest)
    return f'{margin}"""{first}\n{body}{margin}"""'


def _absolute(imports: Iterable[Import]) -> str:
    return _statements(item for item in imports if not item.source.startswith("."))


def _relative(imports: Iterable[Import]) -> str:
    return _statements(item for item in imports if item.source.startswith("."))


def _statements(imports: Iterable[Import]) -> str:
    by_source: dict[str, list[str]] = {}
    for item in imports:
        renamed = f" as {item.alias}" if item.alias != item.name else ""
        by_source.setdefault(item.source, []).append(f"{item.name}{renamed}")
    # From the outside in, as import sorters have it.
    sources = sorted(by_source, key=lambda source: (-_dots(source), source))
    return "\n".join(
        f"from {source} import {', '.join(sorted(by_source[source]))}" for source in sources
    )


def _dots(source: str) -> int:
    return len(source) - len(source.lstrip("."))


def _uses(file: FileRecord, *names: str) -> bool:
    """Tell whether the annotations of a file's schemas speak of one of these names."""
    written = " ".join(field.annotation for message in file.messages for field in message.fields)
    return any(_mentions(written, name) for name in names)


def _client_annotations(file: FileRecord) -> str:
    """Return what the signatures of a file's clients speak of."""
    methods = [method for service in file.services for method in service.methods]
    parts = [method.item for method in methods]
    for method in methods:
        parts += [f"{annotation} = UNSET" for _, _, annotation in method.request.fields]
    return " ".join(parts)


def _mentions(written: str, name: str) -> bool:
    """Tell whether code speaks of a name, and not of another that it is the end of."""
    return re.search(rf"(?<![\w.]){re.escape(name)}", written) is not None
