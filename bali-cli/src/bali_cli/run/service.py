"""Find the app of a service and start it."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from bali.errors import ConfigurationError
from bali_cli.abort import abort

if TYPE_CHECKING:
    from bali.app import Bali

__all__ = ["load_app", "run_service"]


def run_service(arguments: Sequence[str]) -> None:
    """Serve the app of the current directory's main.py until it is told to stop.

    Args:
        arguments: what `app.start()` understands, such as `["--http", "--port", "8000"]`.
    """
    load_app(Path.cwd()).start(list(arguments))


def load_app(folder: Path) -> Bali:
    """Import `main.py` of `folder` and return its `app`.

    Ends the process with a message on stderr and exit code 1 when there is no main.py, when it
    fails to import, and when it has no `app`.
    """
    path = folder / "main.py"
    if not path.is_file():
        abort(
            f"there is no main.py in {folder}.\n"
            "Run this command in the folder of a service, beside its main.py."
        )
    sys.path.insert(0, str(folder))
    module = _import_main(path)
    app: Any = getattr(module, "app", None)
    if app is None:
        abort(f'{path} has no `app`.\nGive it one: app = Bali(title="...", resources=[...])')
    from bali.app import Bali  # only a service that can be imported is worth this library's time

    if not isinstance(app, Bali):
        abort(f"`app` in {path} is {type(app).__name__}, not Bali, so it cannot be started.")
    return app


def _import_main(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("main", path)
    if spec is None or spec.loader is None:  # pragma: no cover - a .py file always has a loader
        abort(f"{path} cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["main"] = module
    try:
        spec.loader.exec_module(module)
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
