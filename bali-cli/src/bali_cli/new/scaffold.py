"""The files of a new service, made in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import Environment, StrictUndefined

from bali_cli.add.files import CONFIG, UTILS
from bali_cli.new.names import ServiceName

__all__ = ["render_service"]

_TEMPLATE = ".jinja"
_LINE_LENGTH = 100
#: What the first `bali add` would write.
_CLIENTS = {"clients/_config.py": CONFIG.encode(), "clients/_utils.py": UTILS.encode()}


def render_service(name: ServiceName, *, proto_first: bool) -> Mapping[str, bytes]:
    """Return the content of every file of a service, by its path in the service's folder.

    Both kinds share `templates/service`; `templates/code_first` or `templates/proto_first` has the
    rest. A file that ends in `.jinja` is rendered, any other is copied; `MODULE` and `PLURAL` in a
    path stand for the names. What protoc makes of the .proto is not among them.
    """
    values: dict[str, object] = {
        **{field: getattr(name, field) for field in name.__slots__},
        "article": name.article,
        "proto_first": proto_first,
        "core_range": _range("bali-core"),
        "cli_range": _range("bali-cli"),
        "line_length": _LINE_LENGTH,
    }
    layers = ("service", "proto_first" if proto_first else "code_first")
    templates = {
        path.replace("MODULE", name.module).replace("PLURAL", name.plural): template
        for layer in layers
        for path, template in _walk(files("bali_cli").joinpath("templates", layer))
    }
    rendered = _render(templates, values)
    longest = max(len(line) for line in _python_lines(rendered))
    if longest > _LINE_LENGTH:  # a service with a long name is formatted well all the same
        rendered = _render(templates, {**values, "line_length": longest})
    return rendered


def _render(
    templates: Mapping[str, Traversable], values: Mapping[str, object]
) -> Mapping[str, bytes]:
    environment = Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the names are checked, and what is made is no HTML
    )
    rendered = dict(_CLIENTS)
    for path, template in templates.items():
        content = template.read_bytes()
        if path.endswith(_TEMPLATE):
            content = environment.from_string(content.decode()).render(values).encode()
        rendered[path.removesuffix(_TEMPLATE)] = content
    return dict(sorted(rendered.items()))


def _python_lines(rendered: Mapping[str, bytes]) -> Iterator[str]:
    for path, content in rendered.items():
        if path.endswith(".py"):
            yield from content.decode().splitlines()


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in folder.iterdir():
        path = f"{prefix}{item.name}"
        if item.is_dir():
            yield from _walk(item, f"{path}/")
        else:
            yield path, item


def _range(distribution: str) -> str:
    """Return the versions that a service made today may take.

    The lower bound is spelled out, for pip takes a pre-release only where one is named.
    """
    present = version(distribution)
    return f">={present},<{int(present.split('.')[0]) + 1}"
