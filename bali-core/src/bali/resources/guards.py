"""What has to be true of an item before an action may touch it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from bali.errors import EtagMismatch, PermissionDenied, Unauthenticated, ValidationFailed
from bali.resources.changes import check_immutable
from bali.resources.context import Context
from bali.resources.etags import is_expected
from bali.resources.field_errors import wrong_field
from bali.resources.partial_records import merged, part_paths, parts_in
from bali.resources.permissions import allows_object, checks_objects
from bali.resources.resource import do, has_own
from bali.resources.spec import ActionSpec, Kind
from bali.resources.store import ContractStore
from bali.resources.update_masks import UPDATE_MASK

__all__ = ["Guard"]

_READING = (Kind.GET, Kind.BATCH_GET)
_UPDATING = (Kind.UPDATE, Kind.BATCH_UPDATE)


class Guard:
    """Checks the items of the calls of one action: permissions on objects, and etags.

    An author's own update is given whole records where its caller sent parts of them.
    """

    def __init__(self, spec: ActionSpec) -> None:
        self._spec = spec
        self._checks_objects = checks_objects(spec.permissions)
        self._is_reading = spec.kind in _READING or (
            spec.kind is Kind.CUSTOM and all(rule.method == "GET" for rule in spec.bindings)
        )
        self._is_own_update = spec.kind in _UPDATING and (
            has_own(spec.resource, "update") or has_own(spec.resource, "batch_update")
        )
        self._can_merge = self._is_own_update and isinstance(
            spec.resource.find_store(), ContractStore
        )

    @property
    def is_idle(self) -> bool:
        """Whether no call of the action is ever checked."""
        has_etag = self._spec.kind is Kind.BATCH_UPDATE or "etag" in self._spec.reserved
        return not (self._checks_objects or has_etag or self._is_own_update)

    async def check(self, resource: Any, context: Context, keywords: Mapping[str, Any]) -> None:
        """Return when the call may go on; what was checked stays so until the unit of work ends.

        Raises `NotFound` for an item that is not there, `PermissionDenied`, and `EtagMismatch` for
        an item that has changed.
        """
        expected = self._expected(context, keywords)
        partial = self._partial(keywords) if self._is_own_update else {}
        keys = [
            key
            for key, etag in expected
            if self._checks_objects or etag not in ("", "*") or key in partial
        ]
        if not keys:
            return
        store: ContractStore = resource.store
        etags = dict(expected)
        found = dict(zip(keys, await self._items(store, keys), strict=True))
        for key, item in found.items():
            if self._checks_objects:
                await self._check_object(context, item)
            if etags[key] not in ("", "*"):
                await self._check_etag(resource, key, item, etags[key])
        for key, (sent, place) in partial.items():
            _make_whole(sent, found[key], place)

    async def _items(self, store: ContractStore, keys: Sequence[Any]) -> Sequence[Any]:
        if not self._is_reading:
            return await store.lock(keys)
        if self._spec.single is None:
            return [await store.get(key) for key in keys]
        return await store.get_many(keys)

    def _expected(self, context: Context, keywords: Mapping[str, Any]) -> Sequence[tuple[Any, str]]:
        """Return the keys of the items that a call is about, and the etag that each should have."""
        spec = self._spec
        if spec.keyword_of_id is not None:
            return [(keywords[spec.keyword_of_id], context.expected_etag)]
        if spec.kind is Kind.BATCH_UPDATE:
            return [(change.key, change.etag) for change in keywords["changes"]]
        if spec.kind in (Kind.BATCH_GET, Kind.BATCH_DELETE):
            return [(key, "") for key in keywords["ids"]]
        return []

    def _partial(self, keywords: Mapping[str, Any]) -> Mapping[Any, tuple[BaseModel, str]]:
        """Return what has parts of records, by the key of its item, and its place in the call."""
        spec = self._spec
        if spec.kind is Kind.BATCH_UPDATE:
            sent = [
                (change.key, change.values, f"requests[{number}].")
                for number, change in enumerate(keywords["changes"])
            ]
        else:
            key = keywords.get(spec.keyword_of_id or "")
            sent = [(key, keywords[str(spec.keyword_of_body)], "")]
        found = {key: (values, place) for key, values, place in sent if parts_in(values)}
        if found and not self._can_merge:
            raise ValidationFailed(
                field_errors=[
                    wrong_field(
                        f"{place}{UPDATE_MASK}",
                        "WHOLE_ONLY",
                        f"{path!r} cannot be named: this update replaces whole fields",
                    )
                    for values, place in found.values()
                    for path in part_paths(values)
                ]
            )
        return found

    async def _check_object(self, context: Context, item: Any) -> None:
        for permission in self._spec.permissions:
            if not await allows_object(permission, context, item):
                raise Unauthenticated if context.principal is None else PermissionDenied

    async def _check_etag(self, resource: Any, key: Any, item: Any, expected: str) -> None:
        etags = (self._spec.single or self._spec).etags
        if etags is None:
            raise EtagMismatch
        shown = item
        if has_own(type(resource), "get"):  # it may show more than what is stored
            shown = await do(resource, "get", key)
        if not is_expected(expected, etags.of_stored(shown)):
            raise EtagMismatch


def _make_whole(sent: BaseModel, item: Any, place: str) -> None:
    """Put whole records where parts were sent: those of the item with the parts in them."""
    parts = parts_in(sent)
    check_immutable(sent, parts.keys(), item, place=place)
    _, whole = merged(sent, item, place=place)
    sent.__dict__.update({name: whole.__dict__[name] for name in parts})
