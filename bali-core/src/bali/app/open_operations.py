"""Operations that nobody has said who may call: found at start, not by a stranger."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from bali.errors import ConfigurationError
from bali.resources import ActionSpec
from bali.settings import Settings, Stage

__all__ = ["refuse_open_operations", "warn_of_open_operations"]

_log = logging.getLogger("bali.app")


def refuse_open_operations(actions: Iterable[ActionSpec], settings: Settings) -> None:
    """Return when every operation says who may call it, or does not have to.

    It has to in staging and production, unless `settings.require_permissions` says otherwise.
    Raises `ConfigurationError` that names the others, and what to write where.
    """
    is_deployed = settings.stage in (Stage.STAGING, Stage.PROD)
    required = settings.require_permissions
    if not (is_deployed if required is None else required):
        return
    told = _told(actions)
    if told:
        raise ConfigurationError(
            f"whoever reaches the service may call {told}: nothing says who may. Write "
            "`permission_classes = [IsAuthenticated]` in the class, or in @action(...), and "
            "[AllowAny] for what is meant for everybody (BALI_REQUIRE_PERMISSIONS=false starts it "
            "all the same)"
        )


def warn_of_open_operations(actions: Iterable[ActionSpec], settings: Settings) -> None:
    """Log, in development, what would be refused in production."""
    if settings.stage is not Stage.DEV or settings.require_permissions is not None:
        return
    told = _told(actions)
    if told:
        _log.warning(
            "whoever reaches the service may call %s: in production it would not start like this; "
            "`permission_classes = [...]` says who may",
            told,
        )


def _told(actions: Iterable[ActionSpec]) -> str:
    """Return what has no permission, by the classes where to write one; "" when all have."""
    by_class: dict[str, list[str]] = {}
    for action in actions:
        if not action.permissions:
            by_class.setdefault(action.resource.__name__, []).append(action.operation)
    return "; ".join(f"{', '.join(names)} ({name})" for name, names in by_class.items())
