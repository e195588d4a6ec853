"""Long-running actions (AIP-151): what their callers get, and what the pipeline needs for them.

`@action(lro=True)` answers with an `Operation` at once. Whoever stores and performs operations is
given to the pipeline as `Operations`.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic import BaseModel, Field, PrivateAttr, create_model

from bali.errors import ConfigurationError
from bali.resources.spec import ActionSpec, Kind, Wrap
from bali.schemas import Describer
from bali.schemas.answers import answers_of

if TYPE_CHECKING:
    from bali.resources.context import Call

__all__ = [
    "Conclude",
    "Operation",
    "OperationError",
    "OperationFieldError",
    "OperationMetadata",
    "OperationState",
    "OperationWire",
    "Operations",
    "long_running",
]

#: Called with the result of an operation inside the unit of work that made it.
Conclude: TypeAlias = Callable[[BaseModel | None], Awaitable[None]]


class OperationState(enum.Enum):
    """How far an operation is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class OperationMetadata(BaseModel):
    """What is known about an operation besides its result."""

    action: str = Field(description='The action that was called, as in "reports.export".')
    state: OperationState
    progress_percent: int = Field(default=0, description="From 0 to 100.")
    progress_text: str = Field(default="", description="What the action says of its progress.")
    attempt: int = Field(default=0, description="How often it was begun, 0 before the first time.")
    create_time: datetime.datetime
    end_time: datetime.datetime | None = None


class OperationFieldError(BaseModel):
    """One field of the request that is wrong."""

    field: str
    reason: str
    description: str


class OperationError(BaseModel):
    """Why an operation failed: the members of the problem (RFC 9457) that a direct call gets."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="The canonical gRPC code.")
    reason: str = Field(description="A stable word for programs.")
    detail: str
    errors: list[OperationFieldError] = []
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationWire:
    """The result of an operation as protobuf has it: a message of a type, or a status."""

    type_name: str = ""
    value: bytes = b""
    status: bytes | None = None


class Operation(BaseModel):
    """A call that goes on after it was answered.

    When it is `done`, it has either a `response`, which is what the action returned, or an `error`.
    """

    name: str = Field(description='Identifies it: "operations/" and 32 hexadecimal digits.')
    metadata: OperationMetadata
    done: bool = False
    error: OperationError | None = None
    response: Any = None

    #: The result in its other form, None until it is done.
    _wire: OperationWire | None = PrivateAttr(default=None)

    @property
    def wire(self) -> OperationWire | None:
        """The result as protobuf has it, None until it is done."""
        return self._wire

    def with_wire(self, wire: OperationWire | None) -> Operation:
        """Remember the result as protobuf has it, and return the operation."""
        self._wire = wire
        return self


class Operations(Protocol):
    """Stores the operations of an app and has them performed."""

    async def start(self, call: Call) -> Operation:
        """Store the operation of an admitted call in its unit of work and return it."""

    def started(self) -> None:
        """Take note that operations were stored, which may now begin."""


def long_running(spec: ActionSpec, describer: Describer, stem: str) -> ActionSpec:
    """Return the specification of an action that answers with an operation.

    `stem` begins the names of its messages. Raises `ConfigurationError` for an action that cannot
    be long-running.
    """
    if spec.kind is not Kind.CUSTOM:
        raise ConfigurationError(
            f"{spec.place}: {spec.name} is a standard action, whose answer others rely on; "
            "lro=True is for an action of another name"
        )
    if spec.is_streaming:
        raise ConfigurationError(
            f"{spec.place}: a stream cannot be lro=True, since an operation has one result; return "
            "it, and tell of the progress with self.context.report_progress(...)"
        )
    if any(binding.method == "GET" for binding in spec.bindings):
        raise ConfigurationError(
            f"{spec.place}: GET changes nothing, and lro=True begins an operation; use "
            "methods=['post']"
        )
    result: Any = spec.response_model if spec.response_model is not None else dict[str, Any]
    model = create_model(
        f"{stem}Operation",
        __base__=Operation,
        __module__=Operation.__module__,
        __doc__=Operation.__doc__,
        response=(result | None, None),
    )
    described = describer.model(model)
    return replace(
        spec,
        work=spec,
        bindings=tuple(replace(binding, status=202) for binding in spec.bindings),
        wrap=Wrap.NONE,
        response_model=model,
        response=described,
        answers=answers_of(described, model),
    )
