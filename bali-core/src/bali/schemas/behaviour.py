"""Field behaviour (AIP-203): what a schema says of a field in its `json_schema_extra`.

| behaviour | `json_schema_extra` | meaning |
|---|---|---|
| output-only | `{"readOnly": True}` | set by the service alone; ignored in requests |
| input-only | `{"writeOnly": True}` | taken in requests, and in no answer |
| expanded | `{"x-expanded": True}` | output-only, and only in answers that it was asked for |
| immutable | `{"x-immutable": True}` | set when the item is made, and never changed |

JSON Schema has the first two (validation vocabulary, section 9.4); names that begin with `x-` are
left to others by OpenAPI, and its readers pass over them.
"""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = [
    "EXPANDED",
    "IMMUTABLE",
    "INPUT_ONLY",
    "OUTPUT_ONLY",
    "input_only_attributes",
    "is_expanded",
    "is_immutable",
    "is_input_only",
    "is_output_only",
    "unread_attributes",
]

OUTPUT_ONLY = "readOnly"
INPUT_ONLY = "writeOnly"
IMMUTABLE = "x-immutable"
EXPANDED = "x-expanded"


def is_output_only(info: FieldInfo) -> bool:
    """Tell whether only the service sets a field."""
    return _says(info, OUTPUT_ONLY)


def is_input_only(info: FieldInfo) -> bool:
    """Tell whether a field is in requests alone."""
    return _says(info, INPUT_ONLY)


def is_immutable(info: FieldInfo) -> bool:
    """Tell whether a field keeps the value that it was made with."""
    return _says(info, IMMUTABLE)


def is_expanded(info: FieldInfo) -> bool:
    """Tell whether a field is only in answers that it was asked for."""
    return _says(info, EXPANDED)


def unread_attributes(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the fields that are not read from what an action returns."""
    fields = model.model_fields.items()
    return frozenset(name for name, info in fields if is_input_only(info) or is_expanded(info))


def input_only_attributes(model: type[BaseModel]) -> frozenset[str]:
    """Return the attribute names of a model's fields that are in requests alone."""
    return frozenset(name for name, info in model.model_fields.items() if is_input_only(info))


def _says(info: FieldInfo, name: str) -> bool:
    extra = info.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(name, False))
