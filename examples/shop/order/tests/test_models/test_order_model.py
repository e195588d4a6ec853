"""The logic of the model alone: no database, no server."""

import pytest
from bali import FailedPrecondition

from models import Order


def test_it_is_cancelled_once() -> None:
    order = Order(is_active=True)
    order.cancel()
    assert order.is_active is False
    with pytest.raises(FailedPrecondition):
        order.cancel()
