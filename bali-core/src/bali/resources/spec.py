"""What the collector finds out about resources, as frozen tables for the adapters."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from bali.resources.etags import Etags
from bali.resources.expanding import Expansions
from bali.resources.permissions import Permission
from bali.resources.read_masks import ReadMasks
from bali.schemas import Record
from bali.schemas.answers import Answers

__all__ = ["ActionSpec", "HttpBinding", "Kind", "ResourceSpec", "Wrap"]


_PATH_NAME = re.compile(r"{(\w+)}")


class Kind(enum.Enum):
    """The standard actions (AIP-131 to 135, 164 and 231 to 235), and everything else."""

    LIST = "list"
    GET = "get"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNDELETE = "undelete"
    BATCH_GET = "batch_get"
    BATCH_CREATE = "batch_create"
    BATCH_UPDATE = "batch_update"
    BATCH_DELETE = "batch_delete"
    CUSTOM = "custom"


class Wrap(enum.Enum):
    """How the value that an action returns becomes the response message.

    `NONE`: it is the message. `EMPTY`: there is none (`google.protobuf.Empty`, `{}`).
    `ITEMS`: a list, as `{items}`. `PAGE`: a `Page`, as `{items, next_page_token, total}`.
    `RESULT`: a single value or a dict, as `{result}`.
    """

    NONE = "none"
    EMPTY = "empty"
    ITEMS = "items"
    PAGE = "page"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpBinding:
    """One HTTP method and path of an action, in the sense of google.api.http (AIP-127).

    `path` starts with "/" and may contain "{id}", and the keys of parents ("{user_id}"). `body` is
    "*" when the JSON body holds every field that the path does not, the name of one request field
    when the body is that field, and None when fields come from the query string.
    """

    method: str
    path: str
    body: str | None
    status: int = 200

    @property
    def path_names(self) -> tuple[str, ...]:
        """The fields of the request that the path holds, in their order."""
        return tuple(_PATH_NAME.findall(self.path))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActionSpec:
    """One operation of one resource, as every adapter needs it.

    `request` is the shape of the request on the wire. It is validated in two parts: `parameters`
    (path id, scalar arguments, list arguments), and `body`, which is the request field
    `body_field` or, when that is None, every request field that `parameters` lacks.
    `response` is the shape of the response message (of one item when `is_streaming`), None for an
    empty one; `response_model` is the pydantic model that the pipeline's result is an instance of.
    `answers` makes answers without input-only fields, None where there are none. `read_masks` are
    what callers may ask for parts of the answer with, None where they may not.
    `place` is "module.Class.method (file:line)", for messages. `reserved` are the parameters that
    the pipeline reads instead of the action (see `reserved`). `etags` makes the etag of an answer
    that is an item, None for other answers. `single` is what a batch does many of, None for what is
    no batch. `parents` are the fields with the keys of the items above, of a nested resource.
    `expansions` are what callers may have expanded in the items of an answer, None for nothing.

    `work`: of a long-running action, the same action as it is when a worker performs it, whose
    response is that of the operation; None for every other. `rpc_service` is the full name of the
    gRPC service that offers the action, None for the app's own. `is_waiting`: it does nothing but
    wait, so it takes no room from calls that work.
    """

    name: str
    operation: str
    kind: Kind
    resource: type[Any]
    function_name: str
    place: str
    is_detail: bool
    is_async: bool
    is_streaming: bool
    bindings: tuple[HttpBinding, ...]
    rpc_name: str | None
    request: Record
    parameters: type[BaseModel] | None
    body: type[BaseModel] | None
    body_field: str | None
    response: Record | None
    response_model: type[BaseModel] | None
    wrap: Wrap
    permissions: tuple[Permission, ...]
    keyword_of_body: str | None = None
    keyword_of_id: str | None = None
    keywords: Mapping[str, str]
    reserved: frozenset[str] = frozenset()
    etags: Etags | None = None
    single: ActionSpec | None = None
    answers: Answers | None = None
    read_masks: ReadMasks | None = None
    parents: tuple[str, ...] = ()
    expansions: Expansions | None = None
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    work: ActionSpec | None = None
    rpc_service: str | None = None
    is_waiting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResourceSpec:
    """One resource class with its names, its key and its operations in order of declaration."""

    resource: type[Any]
    singular: str
    plural: str
    path: str
    place: str
    record: Record | None
    description: str
    actions: tuple[ActionSpec, ...]

    def action(self, name: str) -> ActionSpec | None:
        """Return the action of this name, None when the resource has none."""
        return next((spec for spec in self.actions if spec.name == name), None)
