"""The modules of the first bali, for imports that were written for it.

`from bali.decorators import action` and its like find what they name, where that exists here. The
modules are made when they are asked for, after every other way to find one has failed.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["FORMER_MODULES", "find_former_modules", "former_value"]

#: Module of the first bali -> name in it -> where that is now, as "module:name".
FORMER_MODULES: Mapping[str, Mapping[str, str]] = {
    "bali.application": {"Bali": "bali.app:Bali"},
    "bali.core": {
        "APIRouter": "fastapi:APIRouter",
        "Bali": "bali.app:Bali",
        "Settings": "bali.settings:Settings",
        "db": "bali.database:db",
        "initialize": "bali.settings:initialize",
    },
    "bali.db": {
        "BaseModel": "bali.database:db.BaseModel",
        "Model": "bali.database:db.Model",
        "db": "bali.database:db",
        "transaction": "bali.database:db.transaction",
    },
    "bali.db.connection": {"db": "bali.database:db"},
    "bali.db.managers": {
        "AsyncManager": "bali.database.managers:AsyncManager",
        "Manager": "bali.database.managers:SyncManager",
    },
    "bali.db.operators": {
        "OPERATORS": "bali.database.filters:OPERATORS",
        "get_filters_expr": "bali.database:get_filters_expr",
    },
    "bali.db.transaction": {"transaction": "bali.database:db.transaction"},
    "bali.declarative": {"API": "bali.resources:API"},
    "bali.decorators": {"action": "bali.resources:action"},
    "bali.environments": {"STAGE": "bali.settings:Stage"},
    "bali.interceptors": {"ProcessInterceptor": "bali.rpc:ProcessInterceptor"},
    "bali.mixins": {"ServiceMixin": "bali.rpc:ServiceMixin"},
    "bali.permissions": {"BasePermission": "bali.resources:BasePermission"},
    "bali.resources.model_resource": {"ModelResource": "bali.resources:ModelResource"},
    "bali.routing": {"APIRouter": "fastapi:APIRouter"},
    "bali.schemas": {
        "ListRequest": "bali.resources:ListRequest",
        "model_to_schema": "bali.database:model_to_schema",
    },
    "bali.tests": {"GRPCTestBase": "bali.testing.grpc_test:GRPCTestBase"},
    "bali.utils": {
        "MessageToDict": "bali.proto:MessageToDict",
        "ParseDict": "bali.proto:ParseDict",
        "is_aware": "bali.timezone:is_aware",
        "make_aware": "bali.timezone:make_aware",
        "timezone": "bali.timezone:",
    },
    "bali.utils.timezone": {
        name: f"bali.timezone:{name}"
        for name in (
            "end_of",
            "get_current_timezone",
            "get_current_timezone_name",
            "is_aware",
            "is_naive",
            "localdate",
            "localtime",
            "make_aware",
            "make_naive",
            "now",
            "start_of",
        )
    },
}


def former_value(module: str, name: str) -> Any:
    """Return what a name in a module of the first bali stands for.

    Raises `AttributeError` for a name that it did not have, or that has no place here.
    """
    place = FORMER_MODULES[module].get(name)
    if place is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    home, _, path = place.partition(":")
    value: Any = importlib.import_module(home)
    for part in path.split(".") if path else ():
        value = getattr(value, part)
    return value


def find_former_modules() -> None:
    """Let Python find these modules, from now on and after all others."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _FormerModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return former_value(self.__name__, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *FORMER_MODULES[self.__name__]})


class _Package(ModuleType):
    """The package `bali` once `bali.db` has been imported: a module does not hide the database."""

    @property
    def db(self) -> Any:
        return former_value("bali.db", "db")

    @db.setter
    def db(self, _: Any) -> None:
        """Python sets a package's attribute when a module below it has been imported."""


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname not in FORMER_MODULES:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in FORMER_MODULES)
        return ModuleSpec(fullname, self, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _FormerModule(spec.name, "A module of the first bali; import from `bali` instead.")

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == "bali.db":
            package = sys.modules["bali"]
            vars(package).pop("db", None)
            package.__class__ = _Package
