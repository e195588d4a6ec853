"""The databases of an app: their addresses, their names, their migrations, their tables."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from bali.app.old_tables import warn_of_old_tables
from bali.database import Database
from bali.errors import BaliError, ConfigurationError
from bali.resources.naming import snake
from bali.settings import Stage

if TYPE_CHECKING:
    from bali.app.application import Bali

__all__ = [
    "configure_databases",
    "migration_folders",
    "named_databases",
    "prepare_databases",
    "service_folder",
]

_log = logging.getLogger("bali.app")

_MIGRATIONS = "migrations"


def configure_databases(app: Bali) -> None:
    """Tell the app's databases what its settings say: the address, and the secret of tokens."""
    for database in app.databases:
        database.configure(
            default_name=snake(app.title),
            url=app.configuration.database_url,
            secret=app.configuration.secret_key,
        )


async def prepare_databases(app: Bali) -> None:
    """See to it that the tables are there when the service starts.

    `TEST`, and `DEV` until there is a first revision: missing tables are made, and in `DEV` those
    that are older than their models are named in the log. `DEV` after that: revisions that were not
    applied are named in the log. Elsewhere such a revision is a `ConfigurationError`, and no
    migrations at all are a warning.
    """
    configure_databases(app)
    stage = app.configuration.stage
    folder = service_folder(app)
    folders = migration_folders(app, folder) if folder is not None else {}
    for name, database in named_databases(app).items():
        found = folders.get(name)
        has_revisions = found is not None and any(found.glob("versions/*.py"))
        if stage is Stage.TEST or (stage is Stage.DEV and not has_revisions):
            await _create_tables(database)
            if stage is Stage.DEV:
                await warn_of_old_tables(database)
        elif found is not None and has_revisions:
            await _check_revisions(app, name, database, found)
        elif database.metadata.tables:
            _log.warning(
                "there are no migrations of %s beside main.py, so nobody knows whether its tables "
                "are those of the models; `bali db init` begins with them",
                name,
            )


def service_folder(app: Bali) -> Path | None:
    """Return the folder of the main.py that has this app, None when no module of that name does."""
    for module in _modules():
        path = Path(str(module.__file__))
        if path.name == "main.py" and any(value is app for value in list(vars(module).values())):
            return path.resolve().parent
    return None


def named_databases(app: Bali) -> dict[str, Database]:
    """Return the app's databases by the names of the variables that hold them.

    Bali's own is "db". One that no variable of a module holds is "database2", or whatever place it
    has among them.
    """
    names: dict[str, Database] = {}
    for place, database in enumerate(app.databases, 1):
        name = _variable_of(database) or f"database{place}"
        names[name if name not in names else f"{name}{place}"] = database
    return names


def migration_folders(app: Bali, root: Path) -> dict[str, Path]:
    """Return where the migrations of each database are: in `migrations`, or a folder for each."""
    names = list(named_databases(app))
    if len(names) == 1:
        return {names[0]: root / _MIGRATIONS}
    return {name: root / _MIGRATIONS / name for name in names}


def _variable_of(database: Database) -> str | None:
    for module in _modules():
        for name, value in list(vars(module).items()):
            if value is database and not name.startswith("_"):
                return name
    return None


def _modules() -> Iterator[ModuleType]:
    """Return the modules that were loaded from files, in the order of their imports."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None):
            yield module


async def _check_revisions(app: Bali, name: str, database: Database, folder: Path) -> None:
    from bali.database.migrations import Migrations  # noqa: PLC0415 - most starts need no Alembic

    pending = await Migrations(database, folder).pending()
    if not pending:
        return
    option = f" --database {name}" if len(app.databases) > 1 else ""
    message = (
        f"the database {database.url.render_as_string(hide_password=True)} lacks "
        f"{', '.join(pending)}; run `bali db upgrade{option}`"
    )
    if app.configuration.stage is not Stage.DEV:
        raise ConfigurationError(message)
    _log.warning("%s", message)


async def _create_tables(database: Database) -> None:
    """Create the missing tables; whoever starts the service learns what kept it from that."""
    try:
        await database.create_all_async()
    except (BaliError, SQLAlchemyError, OSError) as error:
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        raise ConfigurationError(
            f"cannot create the tables in {database.url.render_as_string(hide_password=True)}: "
            f"{str(root) or repr(root)}; is the address (DATABASE_URL) right, and does the database"
            " answer?"
        ) from error
