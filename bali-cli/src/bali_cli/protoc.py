"""The protobuf compiler: descriptors and Python modules of .proto files."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from bali_cli.google_protos import renamed_protos
from bali_cli.writing import write_all

__all__ = ["Diagnostic", "ProtocError", "compile_protos", "compiled", "descriptor_set"]

_LINE = re.compile(r"(?P<file>[^:]+):(?:(?P<line>\d+):(?P<column>\d+):)? (?P<text>.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing that the compiler refuses; `line` and `column` are 0 for a whole file."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.text}"


class ProtocError(Exception):
    """The compiler refused .proto files; its text has a line for each `Diagnostic`."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


def descriptor_set(files: Iterable[str | Path], root: Path) -> FileDescriptorSet:
    """Return the descriptors of .proto files and all that they import, with comments.

    `files` are below `root`, which imports start from too. Raises `ProtocError`.
    """
    with tempfile.TemporaryDirectory(prefix="bali-protoc-") as folder:
        target = Path(folder) / "set.binpb"
        options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={target}"]
        _protoc(_relative(files, root), root, options)
        return FileDescriptorSet.FromString(target.read_bytes())


def compile_protos(
    files: Iterable[str | Path], root: Path, out: Path, *, grpc: bool = True, pyi: bool = True
) -> list[Path]:
    """Write the Python modules of .proto files below `out`; return those that changed.

    `a/b.proto` becomes `a/b_pb2.py`; with `grpc` also `b_pb2_grpc.py`, with `pyi` the stubs of
    both. They import each other relatively, so `out` may be a package at any depth. The same
    files give the same modules. Raises `ProtocError`, and then writes nothing.
    """
    contents = {out / path: content for path, content in compiled(files, root, grpc=grpc, pyi=pyi)}
    return write_all(contents)


def compiled(
    files: Iterable[str | Path], root: Path, *, grpc: bool = True, pyi: bool = True
) -> list[tuple[Path, bytes]]:
    """Return the modules that `compile_protos` writes, by their paths below its `out`."""
    names = _relative(files, root)
    if not names:
        return []
    with tempfile.TemporaryDirectory(prefix="bali-protoc-") as folder:
        options = [f"--python_out={folder}"]
        options += [f"--grpc_python_out={folder}"] if grpc else []
        if pyi:
            options += [_plugin("mypy"), f"--mypy_out=quiet:{folder}"]
        if pyi and grpc:
            options += [_plugin("mypy_grpc"), f"--mypy_grpc_out=quiet:{folder}"]
        _protoc(names, root, options)
        own = {_module(path.relative_to(root).as_posix()) for path in root.rglob("*.proto")}
        written = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        modules = []
        for path in written:
            module = path.relative_to(folder)
            text = _with_relative_imports(path.read_text(encoding="utf-8"), module, own)
            modules.append((module, text.encode()))
        return modules


def _relative(files: Iterable[str | Path], root: Path) -> list[str]:
    names = []
    for file in files:
        path = Path(file)
        names.append((path.relative_to(root) if path.is_absolute() else path).as_posix())
    return names


def _module(proto: str) -> str:
    """Return the module that protoc makes of a file: `a-b/c.proto` is `a_b.c_pb2`."""
    return proto.removesuffix(".proto").replace("-", "_").replace("/", ".") + "_pb2"


def _protoc(names: Sequence[str], root: Path, options: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="bali-protoc-") as others:
        for name, content in renamed_protos().items():
            target = Path(others) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        includes = [f"--proto_path={path}" for path in (root, *_include_folders(), others)]
        command = [sys.executable, "-m", "grpc_tools.protoc", *includes, *options, *names]
        finished = subprocess.run(  # noqa: S603 - the compiler, with arguments of our own
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    if finished.returncode:
        raise ProtocError(_diagnostics(finished.stderr, root) or [_crash(finished.stderr)])


def _include_folders() -> list[Path]:
    """Return where the .proto files of google's packages are."""
    found = []
    for name, depth in (("grpc_tools", 0), ("google.api", 1), ("google.type", 1)):
        spec = find_spec(name)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            folder = Path(location).parents[depth] if depth else Path(location) / "_proto"
            if folder not in found:
                found.append(folder)
    return found


def _plugin(name: str) -> str:
    program = f"protoc-gen-{name}"
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.exists() else shutil.which(program)
    return f"--plugin={program}={found or program}"


def _diagnostics(errors: str, root: Path) -> list[Diagnostic]:
    found = []
    for line in errors.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match["text"].startswith("warning:"):
            continue
        name = match["file"]
        shown = name if Path(name).is_absolute() else str(root / name)
        found.append(
            Diagnostic(
                file=shown if Path(shown).exists() else name,
                line=int(match["line"] or 0),
                column=int(match["column"] or 0),
                text=match["text"],
            )
        )
    return found


def _crash(errors: str) -> Diagnostic:
    return Diagnostic(file="protoc", line=0, column=0, text=errors.strip() or "it failed silently")


def _with_relative_imports(text: str, module: Path, own: set[str]) -> str:
    """Return a module whose imports of the other modules are relative, so it works at any depth."""
    itself = ".".join(module.with_suffix("").parts)
    if not any(name.rpartition(".")[2] in text for name in own - {itself}):
        return text
    lines = text.splitlines(keepends=True)
    dots = "." * len(module.parts)
    for node in ast.walk(ast.parse(text)):
        statement = None
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = {f"{node.module}.{item.name}" for item in node.names} | {node.module}
            if names & own:
                statement = f"from {dots}{node.module} import {_names(node.names)}"
        elif isinstance(node, ast.Import) and node.names[0].name in own:
            package, _, name = node.names[0].name.rpartition(".")
            renamed = ast.alias(name, node.names[0].asname)
            statement = f"from {dots}{package} import {_names([renamed])}"
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)) in own:
            # What protoc writes for a folder that is a keyword.
            statement = f"importlib.import_module({dots + name!r}, __package__)"
        if statement is not None:
            _replace(lines, node, statement)
    return "".join(lines)


def _imported_by_call(call: ast.Call) -> str:
    is_import = isinstance(call.func, ast.Attribute) and call.func.attr == "import_module"
    argument = call.args[0] if is_import and call.args else None
    return str(argument.value) if isinstance(argument, ast.Constant) else ""


def _names(items: Sequence[ast.alias]) -> str:
    return ", ".join(
        f"{item.name} as {item.asname}" if item.asname else item.name for item in items
    )


def _replace(lines: list[str], node: Any, statement: str) -> None:
    """Put a statement in the place of one that ends where its line does but for a comment."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    rest = lines[last].encode()[node.end_col_offset or 0 :].decode()
    lines[first] = lines[first].encode()[: node.col_offset].decode() + statement + rest
    for index in range(first + 1, last + 1):
        lines[index] = ""
