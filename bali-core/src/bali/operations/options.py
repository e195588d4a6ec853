"""How operations are performed: numbers and times."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OperationOptions"]

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationOptions:
    """The bounds of the operations of one process.

    `workers`: how many it performs at once, 0 for none. `lease_seconds`: after how long without a
    sign of life others take an operation over. `max_losses`: after how many lost workers it has
    failed. `retention_seconds`: how long results are kept. `max_wait_seconds`: how long one call
    may wait for a result.
    """

    workers: int = 8
    lease_seconds: float = 30.0
    max_losses: int = 3
    retention_seconds: float = 7 * _DAY
    max_wait_seconds: float = 60.0

    @property
    def heartbeat_seconds(self) -> float:
        """How often a worker gives a sign of life and hears of cancellations."""
        return min(1.0, self.lease_seconds / 4)

    @property
    def poll_seconds(self) -> float:
        """How often a worker looks for operations that other processes have stored."""
        return min(1.0, self.lease_seconds / 4)
