"""Parameters of standard actions that the pipeline reads, so that no action has to.

| parameter | actions | meaning |
|---|---|---|
| `etag` | update, delete, undelete | do it only while the item has this etag (AIP-154) |
| `request_id` | whatever changes something | do it once, however often this is sent (AIP-155) |
| `validate_only` | whatever changes something | only tell what would come of it (AIP-163) |
| `show_deleted` | get, list, batch get | soft-deleted items count, too (AIP-164) |
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from bali.resources.context import Context
from bali.resources.spec import Kind
from bali.resources.store import ContractStore, Store

__all__ = ["reserve", "reserved_fields"]

_CHANGING = (
    Kind.CREATE,
    Kind.UPDATE,
    Kind.DELETE,
    Kind.UNDELETE,
    Kind.BATCH_CREATE,
    Kind.BATCH_UPDATE,
    Kind.BATCH_DELETE,
)
_OF_ONE_ITEM = (Kind.UPDATE, Kind.DELETE, Kind.UNDELETE)
_READING = (Kind.GET, Kind.LIST, Kind.BATCH_GET)

_RequestId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{0,128}$", max_length=128)]
_Etag = Annotated[str, StringConstraints(max_length=1024)]

_ETAG = Field(default="", description="Do it only while the item has this etag.")
_REQUEST_ID = Field(
    default="",
    description="A unique id of this request, such as a UUID: what is sent again with the same id "
    "is done once and answered alike.",
)
_VALIDATE_ONLY = Field(default=False, description="Only tell what would come of it.")
_SHOW_DELETED = Field(default=False, description="Deleted items count, too.")


def reserved_fields(kind: Kind, store: Store | None) -> dict[str, Any]:
    """Return the parameters of a kind of action, as `create_model` takes them.

    There are none for a store that cannot keep what they promise.
    """
    if not isinstance(store, ContractStore):
        return {}
    fields: dict[str, Any] = {}
    if kind in _OF_ONE_ITEM:
        fields["etag"] = (_Etag, _ETAG)
    if kind in _CHANGING:
        fields["request_id"] = (_RequestId, _REQUEST_ID)
        fields["validate_only"] = (bool, _VALIDATE_ONLY)
    if kind in _READING and store.is_soft:
        fields["show_deleted"] = (bool, _SHOW_DELETED)
    return fields


def reserve(context: Context, names: frozenset[str], parameters: BaseModel | None) -> None:
    """Write down in the context of a call what its reserved parameters say."""
    if "validate_only" in names:
        context.validate_only = getattr(parameters, "validate_only", False)
        context.repeat_key = getattr(parameters, "request_id", "")
    if "etag" in names:
        context.expected_etag = getattr(parameters, "etag", "")
    if "show_deleted" in names:
        context.show_deleted = getattr(parameters, "show_deleted", False)
