"""Migrations: the steps that take the tables of a database from one version to the next.

They are Alembic's; `bali db` is the way to them. Nothing else of bali loads Alembic, so import this
package where it is needed.
"""

import logging

_alembic = logging.getLogger("alembic")
if _alembic.level == logging.NOTSET:
    # It tells of its own parts at INFO, when it is imported and at every start of a service.
    _alembic.setLevel(logging.WARNING)

from bali.database.migrations.environment import run_environment  # noqa: E402 - as above
from bali.database.migrations.folder import MigrationsFolder  # noqa: E402 - as above
from bali.database.migrations.history import Migrations, Revision  # noqa: E402 - as above

__all__ = ["Migrations", "MigrationsFolder", "Revision", "run_environment"]
