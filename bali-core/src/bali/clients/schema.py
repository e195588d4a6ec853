"""What the generated modules of messages are made of."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar, TypeVar

from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict

__all__ = ["UNSET", "OpenEnum", "Schema", "check_one_of"]


class Schema(BaseModel):
    """One message of a .proto as a pydantic model.

    A field without presence has protobuf's zero value by default, one with presence None. Unknown
    names are refused. What was set (`model_fields_set`) is what is sent.
    """

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        validate_assignment=True,
        arbitrary_types_allowed=True,  # google.protobuf.Any is handed on as it is
        protected_namespaces=(),
        serialize_by_alias=True,
        ser_json_bytes="base64",  # as in protobuf's JSON form
        val_json_bytes="base64",
    )

    #: The class that protoc made for the message.
    message_type: ClassVar[type[Message]]


class OpenEnum(IntEnum):
    """An enum of a .proto: a number that this version does not know is a member too.

    It is called `UNRECOGNIZED_7`, so that a newer server's value survives. A member may be given by
    its number or its name.
    """

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if isinstance(value, str):
            return cls.__members__.get(value)
        if not isinstance(value, int) or not -(2**31) <= value < 2**31:
            return None
        # Not remembered: a peer could send four thousand million of them.
        member = int.__new__(cls, value)
        member._name_ = f"UNRECOGNIZED_{value}"
        member._value_ = value
        return member


#: Stands for an argument that was not given. Typed as anything, for the defaults of signatures.
UNSET: Any = type("Unset", (), {"__repr__": lambda _: "UNSET", "__bool__": lambda _: False})()

S = TypeVar("S", bound=Schema)


def check_one_of(item: S, group: str, names: tuple[str, ...]) -> S:
    """Return the item; raise `ValueError` when more than one field of a oneof is set."""
    present = [name for name in names if getattr(item, name) is not None]
    if len(present) > 1:
        raise ValueError(f"at most one of {group} may be set, found {' and '.join(present)}")
    return item
