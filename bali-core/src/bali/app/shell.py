"""A prompt inside a service: `bali shell` and `python main.py --shell`.

The app's lifespan surrounds it and runs on the background loop of the process. Code that awaits
runs there; all other code runs in the thread of the prompt, so `User.io.get(1)` works as well as
`await User.aio.get(1)`.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from bali.app.console import Console
from bali.app.execution import run_source
from bali.app.lifespan import held_lifespan
from bali.database import db as default_database

if TYPE_CHECKING:
    from bali.app.application import Bali
    from bali.database import Database

__all__ = ["names_at_hand", "run_shell"]


def run_shell(app: Bali, code: str | None = None) -> int:
    """Run `code`, or what stands in a standard input that is no terminal, or else a prompt.

    Returns the exit code: 0, that of `exit(code)`, or 1 when the code raised, in which case the
    traceback is on stderr. The prompt is IPython's when that is installed. Raises
    `ConfigurationError` for a service that cannot start, and whatever its own lifespan raises.
    """
    if code is None and (sys.stdin is None or not sys.stdin.isatty()):
        code = sys.stdin.read() if sys.stdin is not None else ""
    app.serves_others = False
    with held_lifespan(app.router.lifespan_context(app)):
        names = names_at_hand(app)
        if code is not None:
            return run_source(code, names)
        banner = _banner(app, names)
        if importlib.util.find_spec("IPython") is not None:
            from bali.app.ipython import run_ipython  # noqa: PLC0415 - it is an optional package

            return run_ipython(names, banner)
        return Console(names).run(banner)


def names_at_hand(app: Bali) -> dict[str, Any]:
    """Return what code in the shell may use by name.

    That is every model and every resource by the name of its class, and `app`, `call` (what
    `app.call` is), `db` and `settings`, which go before classes of these names.
    """
    names: dict[str, Any] = {"__name__": "__console__", "__doc__": None}
    for database in reversed(app.databases):
        models: Any = database.Model  # its base is made at run time, with SQLAlchemy's registry
        for mapper in models.registry.mappers:
            names[mapper.class_.__name__] = mapper.class_
    for spec in app.resources:
        names[spec.resource.__name__] = spec.resource
    names.update(app=app, call=app.call, db=_database(app), settings=app.configuration)
    return names


def _database(app: Bali) -> Database:
    databases = app.databases
    return default_database if default_database in databases else databases[0]


def _banner(app: Bali, names: dict[str, Any]) -> str:
    stage = app.configuration.stage.value
    addresses = [item.url.render_as_string(hide_password=True) for item in app.databases]
    own = sorted(name for name in names if not name.startswith("__"))
    return (
        f"{app.title} ({stage}) on {', '.join(addresses)}\n"
        f"At hand: {', '.join(own)}.\n"
        "`await` works; leave with exit or Ctrl-D."
    )
