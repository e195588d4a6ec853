"""The migrations of a service's database, and what is told about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bali.app.databases import configure_databases, migration_folders, named_databases
from bali.database.migrations import Migrations, Revision
from bali.errors import ConfigurationError
from bali_cli.console import abort, progress, result
from bali_cli.project import current_project

__all__ = ["ServiceDatabase", "service_database"]


class ServiceDatabase:
    """What each command does. All end the process with a message for what is not right."""

    def __init__(self, migrations: Migrations, root: Path) -> None:
        self._migrations = migrations
        self._root = root

    def init(self) -> None:
        """Write the folder; name its files on stdout."""
        with _told_errors():
            files = self._migrations.init()
        for file in files:
            result(str(file.relative_to(self._root)))
        progress('The next step: bali db migrate -m "every table"')

    def migrate(self, message: str, *, empty: bool) -> None:
        """Write a revision; name its file on stdout, and nothing when nothing has changed."""
        if not message.strip():
            abort("the message is empty; say what the revision is for")
        with _told_errors():
            file = self._migrations.migrate(message, empty=empty)
        if file is None:
            progress("Nothing changed: the database is what the models are.")
            return
        result(str(file.relative_to(self._root)))
        progress("Read it, then run `bali db upgrade`.")

    def upgrade(self, revision: str, *, sql: bool) -> None:
        """Run revisions and name them on stdout, or print what they would run."""
        with _told_errors():
            if sql:
                result(self._migrations.upgrade_sql(revision).rstrip("\n"))
                return
            applied = self._migrations.upgrade(revision)
        _tell("applied", applied)

    def downgrade(self, revision: str, *, yes: bool) -> None:
        """Undo revisions and name them on stdout."""
        with _told_errors():
            if not yes and self._migrations.leads_to_nothing(revision):
                abort(
                    f"downgrade {revision} drops every table that migrations have made, with all "
                    "rows; add --yes if that is wanted"
                )
            undone = self._migrations.downgrade(revision)
        _tell("undone", undone)

    def stamp(self, revision: str) -> None:
        """Note the revision."""
        with _told_errors():
            self._migrations.stamp(revision)
        progress(f"The database is now taken to be at {revision}.")

    def current(self) -> None:
        """Print the revision on stdout; nothing for a database without one."""
        revisions = self._revisions()
        applied = [item for item in revisions if item.is_applied]
        if applied:
            result(f"{applied[0].name}  {applied[0].message}")
        else:
            progress("No revision has been applied.")
        pending = len(revisions) - len(applied)
        if pending:
            progress(f"{pending} more to apply: bali db upgrade")

    def history(self) -> None:
        """Print the revisions on stdout."""
        revisions = self._revisions()
        for item in revisions:
            result(f"{'*' if item.is_applied else ' '} {item.name}  {item.message}")
        if not revisions:
            progress("There are no revisions yet: bali db migrate")

    def check(self) -> None:
        """Print the differences on stdout and fail when there are any."""
        with _told_errors():
            differences = self._migrations.differences()
        if not differences:
            progress("The database is what the models are.")
            return
        for difference in differences:
            result(difference)
        behind = differences[0].startswith("revision ")
        abort(
            "the database is behind; run `bali db upgrade`"
            if behind
            else "the models and the migrated database differ; run `bali db migrate`"
        )

    def _revisions(self) -> list[Revision]:
        with _told_errors():
            return self._migrations.revisions()


def service_database(name: str | None) -> ServiceDatabase:
    """Return the database of the service in this folder, the one of that name if it has several.

    Ends the process when there is no service, or no such database, and when none is named of
    several.
    """
    project = current_project()
    app = project.load_app()
    with _told_errors():
        configure_databases(app)
        databases = named_databases(app)
    known = ", ".join(databases)
    if name is None and len(databases) > 1:
        abort(f"the service has several databases: {known}; say which with --database NAME")
    wanted = next(iter(databases)) if name is None else name
    if wanted not in databases:
        abort(f"the service has no database {wanted!r}; it has {known}")
    folder = migration_folders(app, project.root)[wanted]
    if len(databases) > 1 and (folder.parent / "env.py").exists():
        abort(
            f"{folder.parent} is from when the service had one database; move what is in it to "
            f"{folder.parent}/NAME, with the NAME of that one: {known}"
        )
    return ServiceDatabase(Migrations(databases[wanted], folder), project.root)


def _tell(what: str, names: list[str]) -> None:
    for name in names:
        result(f"{what} {name}")
    if not names:
        progress("Nothing to do.")


@contextmanager
def _told_errors() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        abort(str(error))
