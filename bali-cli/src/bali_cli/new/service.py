"""From a name to a folder with a service."""

from __future__ import annotations

from pathlib import Path

from bali_cli.new.folder import check_target, staged
from bali_cli.new.names import ServiceName
from bali_cli.new.scaffold import render_service

__all__ = ["write_service"]


def write_service(name: str, directory: Path | None, *, proto_first: bool) -> Path:
    """Write the service `name` to `directory`, by default one of its name here; return the folder.

    A .proto is compiled, so that what is there runs at once. Raises `BadName` and `BadTarget`.
    After any failure nothing is written.
    """
    names = ServiceName.parse(name)
    target = Path(directory or name).resolve()
    check_target(target)
    with staged(target, render_service(names, proto_first=proto_first)) as folder:
        if proto_first:
            from bali_cli.protoc import compile_protos  # the compiler is slow to load

            protos = folder / "protos"
            compile_protos(sorted(protos.glob("*.proto")), protos, folder / "services" / "rpc")
    return target
