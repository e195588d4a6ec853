"""The logic of the model alone: no database, no server."""

import pytest
from bali import FailedPrecondition

from models import User


def test_it_is_switched_off_once() -> None:
    user = User(name="ann", is_active=True)
    user.deactivate()
    assert user.is_active is False
    with pytest.raises(FailedPrecondition):
        user.deactivate()
