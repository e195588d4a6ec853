"""Migrations: the steps that take the tables of a database from one version to the next.

They are Alembic's; `bali db` is the way to them. Nothing else of bali loads Alembic, so import this
package where it is needed.
"""

from bali.database.migrations.environment import run_environment
from bali.database.migrations.folder import MigrationsFolder
from bali.database.migrations.history import Migrations, Revision

__all__ = ["Migrations", "MigrationsFolder", "Revision", "run_environment"]
