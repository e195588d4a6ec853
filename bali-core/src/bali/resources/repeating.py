"""Answering a request that is sent again as it was answered the first time (AIP-155)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from bali.resources.batches import Change
from bali.resources.context import Context
from bali.resources.partial_records import part_paths
from bali.resources.spec import ActionSpec
from bali.resources.store import Repeats
from bali.schemas.payload import BytesDecoder, Encoder, encoder_for, has_bytes

__all__ = ["Repeater"]

Perform = Callable[[], Awaitable[BaseModel | None]]


class Repeater:
    """Answers the requests with an id of one action; built once, at start."""

    def __init__(self, spec: ActionSpec, repeats: Repeats) -> None:
        self._spec = spec
        self._repeats = repeats
        self._encode: Encoder | None = encoder_for(spec.response, spec.response_model)

    async def answer(
        self, context: Context, keywords: Mapping[str, Any], perform: Perform
    ) -> BaseModel | None:
        """Return what `perform` does, or what it did when this request came before.

        Runs within a unit of work. Raises `ValidationFailed` when another request had this id.
        """
        caller = context.principal.id if context.principal is not None else ""
        secret = self._repeats.secret
        key = _digest(secret, [self._spec.operation, caller, context.repeat_key])
        plain = _plain({**context.parents, **keywords})
        sent = to_jsonable_python(plain, bytes_mode="base64", fallback=str)
        fingerprint = _digest(secret, sent)
        known = await self._repeats.claim(key, fingerprint)
        if known is not None:
            return self._decoded(known)
        result = await perform()
        encoded = b"" if result is None or self._encode is None else self._encode(result)
        await self._repeats.remember(key, encoded)
        return result

    def _decoded(self, content: bytes) -> BaseModel | None:
        model, record = self._spec.response_model, self._spec.response
        if model is None or record is None:
            return None
        answers = self._spec.answers
        if not has_bytes(record):
            if answers is not None:
                return answers.read_json(content)
            return model.model_validate_json(content, by_alias=True)
        decoded = BytesDecoder().decode(record, json.loads(content), "", [])
        if answers is not None:
            return answers.read_wire(decoded)
        return model.model_validate(decoded, by_alias=True)


def _plain(value: Any) -> Any:
    """Return what was sent, without what was not."""
    if isinstance(value, BaseModel):
        parts = part_paths(value)
        if not parts:
            return value.model_dump(exclude_unset=True)
        # What is computed of a part means nothing.
        return [value.model_dump(exclude_unset=True, exclude_computed_fields=True), parts]
    if isinstance(value, Change):
        return [value.key, _plain(value.values), value.etag]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _digest(secret: bytes, value: Any) -> str:
    return hmac.new(secret, json.dumps(value, sort_keys=True).encode(), hashlib.sha256).hexdigest()
