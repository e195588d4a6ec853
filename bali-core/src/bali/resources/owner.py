"""What the operations of one resource share while they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from bali.resources.expanding import Expansions
from bali.resources.nesting import Parent
from bali.resources.store import Store
from bali.schemas import Describer

__all__ = ["Owner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What an action has from its resource."""

    resource: type[Any]
    place: str
    describer: Describer
    store: Store | None
    schema: type[BaseModel] | None
    singular: str
    plural: str
    path: str
    parents: tuple[Parent, ...] = ()
    expansions: Expansions | None = None

    @property
    def parent_names(self) -> tuple[str, ...]:
        """The fields of every request that hold the keys of parents, the outermost first."""
        return tuple(parent.name for parent in self.parents)

    @property
    def given(self) -> frozenset[str]:
        """The attributes of an item that its place gives, and no body."""
        return frozenset(parent.attribute for parent in self.parents[-1:])
