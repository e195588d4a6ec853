"""Presence of fields: each `optional` one has a oneof of its own, as protoc makes it."""

from __future__ import annotations

from google.protobuf import descriptor_pb2

__all__ = ["add_presence", "remove_presence"]


def add_presence(message: descriptor_pb2.DescriptorProto) -> None:
    """Give each `optional` field the oneof that protobuf wants, after all others."""
    taken = {field.name for field in message.field} | {oneof.name for oneof in message.oneof_decl}
    for field in message.field:
        if field.proto3_optional:
            name = field.name if field.name.startswith("_") else f"_{field.name}"
            while name in taken:
                name = f"X{name}"
            taken.add(name)
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=name)


def remove_presence(message: descriptor_pb2.DescriptorProto) -> None:
    """Take the oneofs of `optional` fields away, and leave those that are declared."""
    for field in message.field:
        if field.proto3_optional:
            field.ClearField("oneof_index")
    declared = {field.oneof_index for field in message.field if field.HasField("oneof_index")}
    del message.oneof_decl[len(declared) :]
