"""The folder of a database's migrations: what `bali db init` writes, and the revisions in it."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from bali.errors import ConfigurationError

__all__ = ["MigrationsFolder"]

_ENVIRONMENT = '''\
"""What Alembic runs for each command of `bali db`.

Options of Alembic's `context.configure` may be given here, as in
`run_environment(include_object=...)`.
"""

from bali.database.migrations import run_environment

run_environment()
'''
_TEMPLATE = '''\
"""${message.replace("\\\\", "\\\\\\\\").replace('"', '\\\\"')}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}
"""

import sqlalchemy as sa
from alembic import op
% if imports:
${imports}
% endif

revision: str = ${repr(up_revision)}
down_revision: str | tuple[str, ...] | None = ${repr(down_revision)}
branch_labels: str | tuple[str, ...] | None = ${repr(branch_labels)}
depends_on: str | tuple[str, ...] | None = ${repr(depends_on)}


def upgrade() -> None:
    """Go to this revision."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Go back to the revision before."""
    ${downgrades if downgrades else "pass"}
'''
#: File names that sort by time.
_FILE = "%%(year)d%%(month).2d%%(day).2d_%%(hour).2d%%(minute).2d%%(second).2d_%%(rev)s_%%(slug)s"


class MigrationsFolder:
    """A folder with `env.py`, `script.py.mako` and the revisions in `versions/`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether `init` has been here."""
        return (self.path / "env.py").is_file()

    def create(self) -> list[Path]:
        """Write the folder and return its files.

        Raises `ConfigurationError` when there is something already.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ConfigurationError(
                f"{self.path} is there already; the next step is `bali db migrate`"
            )
        (self.path / "versions").mkdir(parents=True, exist_ok=True)
        # Git keeps no empty folder.
        files = {"env.py": _ENVIRONMENT, "script.py.mako": _TEMPLATE, "versions/.gitkeep": ""}
        for name, text in files.items():
            (self.path / name).write_text(text, encoding="utf-8")
        return [self.path / name for name in files]

    def config(self, **attributes: Any) -> Config:
        """Return Alembic's configuration; `attributes` are for `run_environment`.

        Raises `ConfigurationError` when there is no such folder.
        """
        if not self.exists:
            raise ConfigurationError(
                f"there are no migrations in {self.path}; begin with `bali db init`"
            )
        config = Config(
            output_buffer=io.StringIO(),
            stdout=io.StringIO(),  # what is to be told is told by us
            cmd_opts=argparse.Namespace(quiet=True),
            attributes=attributes,
        )
        for name, value in (
            ("script_location", str(self.path).replace("%", "%%")),
            ("path_separator", "newline"),  # it says what separates several folders: no folder's
            ("file_template", _FILE),
            ("timezone", "UTC"),
        ):
            config.set_main_option(name, value)
        return config

    def scripts(self) -> ScriptDirectory:
        """Return the revisions. Raises `ConfigurationError` for a file that is none."""
        with self.told_errors():
            scripts = ScriptDirectory.from_config(self.config())
            scripts.get_heads()  # reads them all
            return scripts

    def head(self) -> Script | None:
        """Return the last revision, None when there are none.

        Raises `ConfigurationError` when there are several.
        """
        scripts = self.scripts()
        heads = [scripts.get_revision(name) for name in sorted(scripts.get_heads())]
        if len(heads) > 1:
            names = " and ".join(Path(head.path).name for head in heads)
            raise ConfigurationError(
                f"{self.path / 'versions'} has several last revisions: {names}. That happens when "
                "two branches have added one each. Set `down_revision` in one of them to "
                f"{heads[0].revision!r} or {heads[-1].revision!r}, the other one's, to put it after"
            )
        return heads[0] if heads else None

    @contextmanager
    def told_errors(self) -> Iterator[None]:
        """Raise `ConfigurationError`, with the file and line, for what goes wrong in the folder."""
        try:
            yield
        except (ConfigurationError, KeyboardInterrupt, SystemExit):
            raise
        except (CommandError, RevisionError) as error:
            raise ConfigurationError(_in_our_words(str(error))) from error
        except SyntaxError as error:
            place = f"{error.filename}:{error.lineno}"
            line = (error.text or "").strip()
            raise ConfigurationError(f"{place}: {error.msg}\n    {line}") from error
        except Exception as error:
            where = self._own_line(error)
            if where is None and not isinstance(error, SQLAlchemyError):
                raise
            raise ConfigurationError(f"{where or 'the database'}: {_reason(error)}") from error

    def _own_line(self, error: BaseException) -> str | None:
        """Return the deepest line of this folder that an error went through."""
        place: str | None = None
        trace = error.__traceback__
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            if Path(file).is_relative_to(self.path):
                place = f"{file}:{trace.tb_lineno}"
            trace = trace.tb_next
        return place


def _reason(error: BaseException) -> str:
    root = getattr(error, "orig", None) or error
    text = " ".join(str(root).split())
    return f"{type(root).__name__}: {text}" if text else type(root).__name__


def _in_our_words(message: str) -> str:
    if message.startswith("Target database is not up to date"):
        return "the database is behind the revisions; run `bali db upgrade` first"
    if message.startswith("Relative revision "):
        step = message.split()[2]
        return f"there are no {step.lstrip('+-')} revisions to go that way; see `bali db history`"
    if "locate revision identified by" in message:
        name = message.rpartition("by ")[2].strip("'")
        return f"there is no revision {name!r}; `bali db history` lists them"
    return message
