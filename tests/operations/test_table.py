from __future__ import annotations

import pytest
from sqlalchemy import MetaData
from sqlalchemy.orm import Mapped, mapped_column

from bali import Database
from bali.errors import ConfigurationError
from bali.operations.table import operations_table


def test_the_table_is_declared_once() -> None:
    metadata = MetaData()
    assert operations_table(metadata) is operations_table(metadata)


def test_a_model_of_that_name_is_refused() -> None:
    db = Database()

    class Own(db.Model):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "bali_operations"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ConfigurationError, match="another __tablename__"):
        operations_table(db.metadata)
