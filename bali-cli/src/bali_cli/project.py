"""The service that a command works on: the folder with a main.py, and its app."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from bali.errors import ConfigurationError
from bali_cli.console import abort

if TYPE_CHECKING:
    from bali.app import Bali

__all__ = ["Project", "current_project"]

#: Where a service keeps its .proto, the first that exists.
_PROTO_FOLDERS = ("protos", "services/rpc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One service: its folder, and what is where in it."""

    root: Path

    @property
    def main(self) -> Path:
        """The file that has the app."""
        return self.root / "main.py"

    def proto_files(self) -> list[Path]:
        """Return the .proto files of the service, sorted; none when there are none yet."""
        return sorted(path for folder in self.proto_folders() for path in folder.rglob("*.proto"))

    def proto_folders(self) -> list[Path]:
        """Return the folders that may hold the service's .proto and exist."""
        return [self.root / name for name in _PROTO_FOLDERS if (self.root / name).is_dir()]

    def load_app(self) -> Bali:
        """Import `main.py` and return its `app`.

        Ends the process with a message on stderr and exit code 1 when there is no main.py, when it
        fails to import, and when it has no `app`. The folder is the first of `sys.path` from then
        on, so that the service's own modules are found.
        """
        if not self.main.is_file():
            abort(
                f"there is no main.py in {self.root}.\n"
                "Run this command in the folder of a service, beside its main.py."
            )
        sys.path.insert(0, str(self.root))
        module = _import_main(self.main)
        app: Any = getattr(module, "app", None)
        if app is None:
            abort(
                f'{self.main} has no `app`.\nGive it one: app = Bali(title="...", resources=[...])'
            )
        from bali.app import Bali  # only a service that can be imported is worth its time

        if not isinstance(app, Bali):
            abort(
                f"`app` in {self.main} is {type(app).__name__}, not Bali, so it cannot be started."
            )
        return app


def current_project() -> Project:
    """Return the project in the current folder; whether it has a main.py shows when it is used."""
    return Project(root=Path.cwd())


def _import_main(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("main", path)
    if spec is None or spec.loader is None:  # pragma: no cover - a .py file always has a loader
        abort(f"{path} cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["main"] = module
    try:
        with _start_refused():
            spec.loader.exec_module(module)
    except SystemExit as stop:
        abort(
            f"{_own_line(stop.__traceback__, path)}\n"
            f"main.py ended the process with {stop.code!r} while it was imported; put that below\n"
            '`if __name__ == "__main__":`.'
        )
    except SyntaxError as error:
        abort(
            f"{_place(error.filename, error.lineno)}: {error.msg}\n    {(error.text or '').strip()}"
        )
    except ConfigurationError as error:
        abort(f"{_own_line(error.__traceback__, path)}\nthe service is not right: {error}")
    except Exception as error:  # noqa: BLE001 - whatever a user's module raises
        message = "".join(traceback.format_exception_only(error)).strip()
        missing = f"main.py failed to import {error.name}" if isinstance(error, ImportError) else ""
        abort(f"{missing or 'main.py failed'}.\n{_own_line(error.__traceback__, path)}\n{message}")
    return module


@contextmanager
def _start_refused() -> Iterator[None]:
    """While main.py is imported, have `app.start()` say that it does not belong there."""
    from bali.app import Bali

    def start(*_: object, **__: object) -> NoReturn:
        raise ConfigurationError(
            "app.start() was called while main.py was imported; put it below\n"
            '`if __name__ == "__main__":`.'
        )

    kept = Bali.start
    Bali.start = start  # type: ignore[method-assign]  # it would serve, or read our own arguments
    try:
        yield
    finally:
        Bali.start = kept  # type: ignore[method-assign]  # as above


def _own_line(trace: TracebackType | None, path: Path) -> str:
    """Return the deepest line of the service's own code in a traceback: where to look."""
    folder = path.parent
    place = str(path)
    for frame, line in traceback.walk_tb(trace):
        filename = Path(frame.f_code.co_filename)
        inside = filename.is_relative_to(folder) and "site-packages" not in filename.parts
        if inside:
            source = linecache.getline(str(filename), line).strip()
            place = f"{_place(str(filename), line)}\n    {source}"
    return place


def _place(filename: str | None, line: int | None) -> str:
    return f"{filename or 'main.py'}:{line or 1}"
