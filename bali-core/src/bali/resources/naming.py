"""The names that follow from a class and a method name, on both protocols."""

from __future__ import annotations

import re

__all__ = ["camel", "kebab", "pluralise", "snake"]

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SIBILANT = ("s", "x", "z", "ch", "sh")


def snake(name: str) -> str:
    """`OrderItem` and `order-item` become `order_item`."""
    return re.sub(r"\W+", "_", _BOUNDARY.sub("_", name)).strip("_").lower()


def camel(name: str) -> str:
    """`order_item` and `order-item` become `OrderItem`; capitals inside a word stay."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[\W_]+", name) if part)


def kebab(name: str) -> str:
    """`OrderItem` and `order_item` become `order-item`."""
    return snake(name).replace("_", "-")


def pluralise(noun: str) -> str:
    """Return the regular English plural; set `plural` on the resource for an irregular noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    if noun.endswith(_SIBILANT):
        return f"{noun}es"
    return f"{noun}s"
