"""What callers send."""

from schemas.order import Cancellation, Purchase

__all__ = ["Cancellation", "Purchase"]
