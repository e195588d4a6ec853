"""Which thread of gRPC's core reads what a server is sent.

The core of grpcio reads connections in threads of its own, which hand what they have read to the
thread that waits for completed work, which wakes the event loop ("EventEngine listener", on since
1.80). It can also have the waiting thread read by itself, as all versions before did. Then a call
is handed over once less, which on one core saves up to an eighth of a quick call
(`make bench` measures both). The core takes its choice from the environment, in the moment in
which it is loaded, and never looks again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__ = ["read_where_servers_wait"]

_VARIABLE = "GRPC_EXPERIMENTS"
_CHOICE = "-event_engine_listener"
#: The versions that were measured, as (major, minor): an unknown choice would be an error message.
_FIRST, _LAST = (1, 80), (1, 85)


def read_where_servers_wait() -> None:
    """Have gRPC's core, when it is loaded later, read in the thread that waits.

    It stays as it is where the core is loaded already, in versions that are not known to have the
    choice, and where `GRPC_EXPERIMENTS` is set, be it to nothing.
    """
    if "grpc" not in sys.modules and not any(isinstance(item, _Finder) for item in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _is_known() -> bool:
    from importlib import metadata  # noqa: PLC0415 - half of what `import bali` costs

    try:
        major, minor = metadata.version("grpcio").split(".")[:2]
        return _FIRST <= (int(major), int(minor)) <= _LAST
    except (metadata.PackageNotFoundError, ValueError):
        return False


class _Finder(MetaPathFinder):
    """Sets the variable while `grpc` is imported for the first time, and for nobody else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "grpc" or _VARIABLE in os.environ or not _is_known():
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                os.environ[_VARIABLE] = _CHOICE
                try:
                    execute(module)
                finally:
                    del os.environ[_VARIABLE]

            spec.loader.exec_module = exec_module  # type: ignore[method-assign] # of this one only
        return spec
