"""What operations have ended with: in the forms of both protocols, fixed when they end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import struct_pb2
from pydantic import BaseModel

from bali.errors import BaliError, Code, problem_members
from bali.operations.store import Outcome, StoredOperation
from bali.proto import BoundOperation, status_proto
from bali.resources import (
    ActionSpec,
    Operation,
    OperationError,
    OperationMetadata,
    OperationState,
    OperationWire,
)
from bali.rest import encoder_for

__all__ = ["PREFIX", "OperationActions"]

#: What the name of every operation begins with.
PREFIX = "operations/"


class OperationActions:
    """The long-running actions of an app, by their operation names.

    `domain` is the service that the reasons of errors belong to.
    """

    def __init__(self, actions: Iterable[ActionSpec], domain: str) -> None:
        self._works: dict[str, ActionSpec] = {}
        self._encoders: dict[str, Any] = {}
        self._bound: dict[str, BoundOperation] = {}
        self._domain = domain
        for action in actions:
            if action.work is not None:
                work = action.work
                self._works[action.operation] = work
                self._encoders[action.operation] = encoder_for(work.response, work.response_model)

    def bind(self, operations: Mapping[ActionSpec, BoundOperation]) -> None:
        """Take the messages of the actions that are offered over gRPC."""
        self._bound.update({action.operation: bound for action, bound in operations.items()})

    @property
    def names(self) -> list[str]:
        """The actions that this process can perform."""
        return list(self._works)

    def work(self, action: str) -> ActionSpec:
        """Return what a worker does for an action of this name."""
        return self._works[action]

    def bound(self, action: str) -> BoundOperation | None:
        """Return the messages of an action; those of another when it has none of its own."""
        found = self._bound.get(action)
        return found or next(iter(self._bound.values()), None)

    def bound_of(self, message: Any) -> BoundOperation | None:
        """Return the messages of the action that a `google.longrunning.Operation` is of."""
        for bound in self._bound.values():
            told = bound.metadata.message_type.FromString(message.metadata.value)
            action = bound.metadata.to_values(told).get("action", "")
            return self.bound(action)
        return None

    def with_json(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of an operation with its response as REST has it."""
        action = str(values["metadata"]["action"])
        work, encode = self._works.get(action), self._encoders.get(action)
        if values["response"] is not None and work is not None and work.response_model and encode:
            result = work.response_model.model_validate(values["response"])
            values["response"] = json.loads(encode(result))
        return values

    def succeeded(self, action: str, value: BaseModel | None) -> Outcome:
        """Return the outcome of an action that returned. Raises `EncodeError`."""
        encode = self._encoders[action]
        result = b"{}" if value is None or encode is None else encode(value)
        bound = self._bound.get(action)
        if bound is not None:
            name, data = bound.packed(value)
        else:
            struct = struct_pb2.Struct()
            struct.update(json.loads(result))
            name, data = struct.DESCRIPTOR.full_name, struct.SerializeToString()
        return Outcome(state=OperationState.SUCCEEDED, result=result, wire_type=name, wire=data)

    def failed(self, error: BaliError, request_id: str) -> Outcome:
        """Return the outcome of an action that raised."""
        is_cancelled = error.code is Code.CANCELLED
        status = status_proto(error, request_id, domain=self._domain)
        return Outcome(
            state=OperationState.CANCELLED if is_cancelled else OperationState.FAILED,
            result=json.dumps(problem_members(error, request_id)).encode(),
            wire=status.SerializeToString(),
        )

    @staticmethod
    def operation(stored: StoredOperation) -> Operation:
        """Return an operation as its caller sees it."""
        outcome = stored.outcome
        is_well = stored.state is OperationState.SUCCEEDED
        result = None if outcome is None else json.loads(outcome.result)
        operation = Operation(
            name=f"{PREFIX}{stored.id}",
            metadata=OperationMetadata(
                action=stored.action,
                state=stored.state,
                progress_percent=stored.progress_percent,
                progress_text=stored.progress_text,
                attempt=stored.attempt,
                create_time=stored.create_time,
                end_time=stored.end_time,
            ),
            done=outcome is not None,
            response=result if is_well else None,
            error=None if is_well or result is None else OperationError.model_validate(result),
        )
        return operation.with_wire(None if outcome is None else _wire(outcome))


def _wire(outcome: Outcome) -> OperationWire:
    if outcome.state is OperationState.SUCCEEDED:
        return OperationWire(type_name=outcome.wire_type, value=outcome.wire)
    return OperationWire(status=outcome.wire)
