"""The request models that the standard actions share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from bali.errors import FieldError, ValidationFailed
from bali.resources.filter import Condition, FilterError, FilterFields, condition_of, matches
from bali.resources.store import ListQuery, Store
from bali.schemas import Scalar, ScalarKind
from bali.schemas.behaviour import is_immutable, is_input_only, is_output_only

__all__ = [
    "DEFAULT_PAGE_SIZE",
    "FORMER_NAMES",
    "MAX_FILTER_ITEMS",
    "MAX_FILTER_LENGTH",
    "MAX_PAGE_SIZE",
    "FieldMask",
    "ListRequest",
    "input_model",
    "kept_names",
    "output_only_names",
    "request_field",
    "schema_of_input",
    "whole_input_model",
    "wire_names",
]

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MAX_FILTER_LENGTH = 1000
MAX_FILTER_ITEMS = 1000
_MAX_SKIP = 2**31 - 1

#: The names of the first bali, and the ones they stand for.
FORMER_NAMES: Mapping[str, str] = {
    "limit": "page_size",
    "offset": "skip",
    "ordering": "order_by",
}


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return _split(value[0])
    return value


#: Paths of fields (AIP-161): a list of strings, or one string with commas.
FieldMask = Annotated[list[str], BeforeValidator(_split), Scalar(ScalarKind.FIELD_MASK)]


class ListRequest(BaseModel):
    """What a list call may say (AIP-132, AIP-158, AIP-160).

    `limit`, `offset` and `ordering` are accepted for `page_size`, `skip` and `order_by`. Declared
    filters are fields of their own in the request, and together are `filters` here.
    """

    model_config = ConfigDict(extra="forbid")

    default_page_size: ClassVar[int] = DEFAULT_PAGE_SIZE
    #: The fields that a caller sees and may sort by; None for every column.
    sortable_names: ClassVar[frozenset[str] | None] = None
    #: What `filter` may name; None for a list without a resource, which takes none.
    filter_fields: ClassVar[FilterFields | None] = None
    #: The fields with the keys of the items above, of a nested resource, and their attributes.
    parent_attributes: ClassVar[Mapping[str, str]] = {}
    #: Declared filter -> the attribute that holds its value.
    filter_attributes: ClassVar[Mapping[str, str]] = {}

    _relations: Mapping[str, Store] = PrivateAttr(default_factory=dict)

    page_size: int | None = Field(
        default=None,
        ge=0,
        le=MAX_PAGE_SIZE,
        description="How many items to return at most; 0 or absent for the default.",
    )
    page_token: str = Field(
        default="", max_length=4096, description="`next_page_token` of the page before."
    )
    skip: int = Field(
        default=0, ge=0, le=_MAX_SKIP, description="How many items to pass over first."
    )
    order_by: str = Field(
        default="",
        max_length=MAX_FILTER_LENGTH,
        description='Fields to sort by, as in "age desc, username".',
    )
    with_total: bool = Field(default=False, description="Count the items on all pages.")
    filter: str = Field(
        default="",
        max_length=MAX_FILTER_LENGTH,
        description='Which items to return, as in `age >= 18 AND name = "A*"` (AIP-160).',
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not (FORMER_NAMES.keys() & data.keys()):
            return data
        data = dict(data)
        for former, name in FORMER_NAMES.items():
            if former in data:
                data.setdefault(name, data.pop(former))
        return data

    @field_validator("filter")
    @classmethod
    def _check_filter(cls, text: str) -> str:
        try:
            if cls.filter_fields is not None:
                condition_of(text, cls.filter_fields)
        except FilterError as error:
            raise PydanticCustomError("invalid_filter", "{text}", {"text": str(error)}) from None
        return text

    def look_through(self, relations: Mapping[str, Store]) -> None:
        """Take what the caller sees at each path of relations; the pipeline does that."""
        self._relations = relations

    @property
    def filters(self) -> dict[str, Any]:
        """The declared filters that were given, by name."""
        return {
            name: value
            for name, attribute in self.filter_attributes.items()
            if (value := getattr(self, attribute)) is not None
        }

    @property
    def limit(self) -> int:
        """How many items to return at most."""
        return self.page_size or self.default_page_size

    @property
    def offset(self) -> int:
        """How many items to pass over first."""
        return self.skip

    @property
    def ordering(self) -> str:
        """The fields to sort by."""
        return self.order_by

    @property
    def condition(self) -> Condition | None:
        """What `filter` means, None when it is empty.

        Raises `ValidationFailed` when the list takes none.
        """
        if not self.filter.strip():
            return None
        if self.filter_fields is None:
            text = "this list takes no filter"
            error = FieldError(field="filter", reason="INVALID_FILTER", description=text)
            raise ValidationFailed(field_errors=[error])
        return condition_of(self.filter, self.filter_fields)

    def matches(self, item: Any) -> bool:
        """Tell whether an item, an object or a mapping, fits `filter`."""
        return matches(self.condition, item)

    def query(self) -> ListQuery:
        """Return the same as a store takes it."""
        private = self.__pydantic_private__ or {}
        return ListQuery(
            page_size=self.page_size or self.default_page_size,
            page_token=self.page_token,
            skip=self.skip,
            order_by=self.order_by,
            with_total=self.with_total,
            filters=self.filters if self.filter_attributes else {},
            sortable=self.sortable_names,
            filter=self.filter,
            condition=self.condition if self.filter else None,
            show_deleted=self.__dict__.get("show_deleted", False),
            relations=private.get("_relations", {}),
            parents={name: getattr(self, held) for name, held in self.parent_attributes.items()},
        )


def request_field(name: str, annotation: Any, **options: Any) -> dict[str, Any]:
    """Return a field of a request for `create_model`, whatever its name; `options` as of `Field`.

    A name that pydantic or `ListRequest` has a use for (`json`, `copy`, `query`) becomes the alias
    of an attribute of another name. A `default` that is a `Field(...)` itself is that field.
    """
    if isinstance(options.get("default"), FieldInfo):
        return {name: (annotation, options["default"])}
    if not (name.startswith(("_", "model_")) or hasattr(ListRequest, name)):
        return {name: (annotation, Field(**options))}
    return {f"field_{name.lstrip('_')}": (annotation, Field(alias=name, **options))}


def wire_names(model: type[BaseModel]) -> dict[str, str]:
    """Return the attribute of each field by the name that callers use."""
    return {info.alias or name: name for name, info in model.model_fields.items()}


def output_only_names(schema: type[BaseModel]) -> frozenset[str]:
    """Return the wire names of the fields that only the service sets (`readOnly`, computed)."""
    computed = schema.model_computed_fields.items()
    return frozenset(info.alias or name for name, info in computed) | frozenset(
        wire
        for wire, name in wire_names(schema).items()
        if is_output_only(schema.model_fields[name])
    )


def kept_names(schema: type[BaseModel]) -> frozenset[str]:
    """Return the attributes that an update of everything may leave out, and then leaves alone.

    Those that callers cannot change (immutable) or cannot know (input-only).
    """
    fields = schema.model_fields.items()
    return frozenset(name for name, info in fields if is_immutable(info) or is_input_only(info))


def input_model(
    schema: type[BaseModel],
    name: str,
    *,
    is_partial: bool,
    may_lack: frozenset[str] = frozenset(),
    given: frozenset[str] = frozenset(),
) -> type[BaseModel]:
    """Return the model that validates the body of a create or an update.

    It is a subclass of `schema`, so its validators run too; unknown fields are refused. Output-only
    fields may be absent, those in `may_lack`, and with `is_partial` every field: what was sent is
    `model_fields_set`. A validator of the whole object (`model_validator(mode="after")`) that reads
    a field which may be absent and is, is passed over: it cannot judge a part. `given` are fields
    whose values come from elsewhere: they are output-only here.
    """
    changed: dict[str, Any] = {}
    may_be_absent = {
        field_name
        for field_name, info in schema.model_fields.items()
        if is_partial or is_output_only(info) or field_name in may_lack | given
    }
    for field_name, info in schema.model_fields.items():
        if info.is_required() and field_name in may_be_absent:
            optional = info._copy()  # noqa: SLF001 - pydantic's own way to reuse a FieldInfo
            optional.default = None
            optional.validate_default = False
            changed[field_name] = (info.annotation, optional)
        if field_name in given:
            _, field = changed.setdefault(field_name, (info.annotation, info._copy()))  # noqa: SLF001 - see above
            field.json_schema_extra = {"readOnly": True}
    # A subclass configuration cannot be passed along with a base, so a base carries it.
    config = ConfigDict(extra="forbid", title=name)
    base = type(name, (schema,), {"model_config": config, "__module__": schema.__module__})
    model: type[BaseModel] = create_model(
        name, __base__=base, __module__=schema.__module__, **changed
    )
    model.__input_of__ = schema  # type: ignore[attr-defined]  # read by `schema_of_input`
    model.__given__ = given  # type: ignore[attr-defined]  # read by `whole_input_model`
    if may_be_absent and _pass_over_absence(model, frozenset(may_be_absent)):
        model.model_rebuild(force=True)
    return model


def whole_input_model(model: type[BaseModel]) -> type[BaseModel]:
    """Return the model like that of a partial input, but for the whole."""
    schema, given = schema_of_input(model), model.__dict__["__given__"]
    kept = kept_names(schema)
    return input_model(schema, model.__name__, is_partial=False, may_lack=kept, given=given)


def schema_of_input(model: type[BaseModel]) -> type[BaseModel]:
    """Return the schema that `input_model` was given."""
    schema: type[BaseModel] = model.__dict__["__input_of__"]
    return schema


def _pass_over_absence(model: type[BaseModel], names: frozenset[str]) -> bool:
    """Wrap the validators of whole objects of an input model; tell whether there are any."""
    found = False
    for decorator in model.__pydantic_decorators__.model_validators.values():
        if decorator.info.mode == "after":
            decorator.func = _judging_what_is_there(decorator.func, names)
            found = True
    return found


def _judging_what_is_there(
    validator: Callable[..., Any], names: frozenset[str]
) -> Callable[..., Any]:
    @functools.wraps(validator)
    def validate(item: BaseModel, *rest: Any) -> Any:
        values = item.__dict__
        absent = {
            name: values.pop(name) for name in names - item.model_fields_set if name in values
        }
        try:
            return validator(item, *rest)
        except AttributeError:
            if not absent:
                raise
            return item
        finally:
            for name, value in absent.items():
                values.setdefault(name, value)

    return validate
