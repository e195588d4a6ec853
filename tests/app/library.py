"""A library with a hand-written .proto: a model, a resource, and servicers over it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from bali import Database, ModelResource

PROTOS = Path(__file__).parent / "protos"

db = Database()


class Book(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Something to read."""

    __tablename__ = "library_books"

    title: Mapped[str] = mapped_column(String(80))


class BookResource(ModelResource):
    """The books."""

    model = Book


def compile_protos(target: Path) -> tuple[Any, Any]:
    """Compile library.proto into a directory; return the modules pb2 and pb2_grpc."""
    code = protoc.main(
        [
            "protoc",
            f"-I{PROTOS}",
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            "library.proto",
        ]
    )
    if code:
        raise RuntimeError(f"protoc ended with exit code {code}")
    sys.path.insert(0, str(target))
    try:
        return importlib.import_module("library_pb2"), importlib.import_module("library_pb2_grpc")
    finally:
        sys.path.remove(str(target))
