"""What has to be true of an item before an action may touch it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bali.errors import EtagMismatch, PermissionDenied, Unauthenticated
from bali.resources.context import Context
from bali.resources.etags import is_expected
from bali.resources.permissions import allows_object, checks_objects
from bali.resources.resource import do, has_own
from bali.resources.spec import ActionSpec, Kind
from bali.resources.store import ContractStore

__all__ = ["Guard"]

_READING = (Kind.GET, Kind.BATCH_GET)


class Guard:
    """Checks the items of the calls of one action: permissions on objects, and etags."""

    def __init__(self, spec: ActionSpec) -> None:
        self._spec = spec
        self._checks_objects = checks_objects(spec.permissions)
        self._is_reading = spec.kind in _READING or (
            spec.kind is Kind.CUSTOM and all(rule.method == "GET" for rule in spec.bindings)
        )

    @property
    def is_idle(self) -> bool:
        """Whether no call of the action is ever checked."""
        has_etag = self._spec.kind is Kind.BATCH_UPDATE or "etag" in self._spec.reserved
        return not (self._checks_objects or has_etag)

    async def check(self, resource: Any, context: Context, keywords: Mapping[str, Any]) -> None:
        """Return when the call may go on; what was checked stays so until the unit of work ends.

        Raises `NotFound` for an item that is not there, `PermissionDenied`, and `EtagMismatch` for
        an item that has changed.
        """
        expected = self._expected(context, keywords)
        keys = [key for key, etag in expected if self._checks_objects or etag not in ("", "*")]
        if not keys:
            return
        store: ContractStore = resource.store
        etags = dict(expected)
        for key, item in zip(keys, await self._items(store, keys), strict=True):
            if self._checks_objects:
                await self._check_object(context, item)
            if etags[key] not in ("", "*"):
                await self._check_etag(resource, key, item, etags[key])

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
