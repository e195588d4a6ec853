from __future__ import annotations

from typing import Annotated, Any, Self

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from bali.resources import FieldMask, ListQuery, ListRequest
from bali.resources.requests import (
    input_model,
    output_only_names,
    request_field,
    schema_of_input,
    wire_names,
)


class Span(BaseModel):
    id: int = Field(json_schema_extra={"readOnly": True})
    name: str
    start: int
    end: int = 10

    @field_validator("name")
    @classmethod
    def _not_x(cls, value: str) -> str:
        if value == "x":
            raise ValueError("not x")
        return value.strip()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start > self.end:
            raise ValueError("start after end")
        return self

    @property
    def length(self) -> int:
        return self.end - self.start


def refusals(model: type[BaseModel], values: dict[str, Any]) -> list[tuple[Any, str]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return [(error["loc"], error["type"]) for error in caught.value.errors()]


def test_a_list_request_asks_for_the_first_page_by_default() -> None:
    assert ListRequest().query() == ListQuery(page_size=50)


def test_a_list_request_tells_what_it_was_given() -> None:
    request = ListRequest(page_size=7, page_token="t", skip=3, order_by="age desc", with_total=True)
    assert request.query() == ListQuery(
        page_size=7, page_token="t", skip=3, order_by="age desc", with_total=True
    )
    assert (request.limit, request.offset, request.ordering) == (7, 3, "age desc")


def test_the_names_of_the_first_bali_are_accepted() -> None:
    request = ListRequest.model_validate({"limit": 7, "offset": 3, "ordering": "age"})
    assert (request.page_size, request.skip, request.order_by) == (7, 3, "age")


def test_the_new_name_wins_when_both_are_given() -> None:
    request = ListRequest.model_validate({"limit": 7, "page_size": 9, "offset": 3})
    assert (request.page_size, request.skip) == (9, 3)


def test_the_given_values_are_not_changed() -> None:
    given = {"limit": 7}
    ListRequest.model_validate(given)
    assert given == {"limit": 7}
    assert ListRequest.model_validate(ListRequest(page_size=3)).page_size == 3


@pytest.mark.parametrize(
    ("values", "where", "kind"),
    [
        ({"page_size": -1}, "page_size", "greater_than_equal"),
        ({"page_size": 1001}, "page_size", "less_than_equal"),
        ({"limit": 1001}, "page_size", "less_than_equal"),
        ({"skip": -1}, "skip", "greater_than_equal"),
        ({"offset": 2**31}, "skip", "less_than_equal"),
        ({"page_token": "x" * 4097}, "page_token", "string_too_long"),
        ({"order_by": "x" * 1001}, "order_by", "string_too_long"),
        ({"pages": 1}, "pages", "extra_forbidden"),
    ],
)
def test_bounds_of_a_list(values: dict[str, Any], where: str, kind: str) -> None:
    assert refusals(ListRequest, values) == [((where,), kind)]


@pytest.mark.parametrize(("given", "limit"), [(None, 50), (0, 50), (1, 1), (1000, 1000)])
def test_page_sizes(given: int | None, limit: int) -> None:
    assert ListRequest(page_size=given).limit == limit


def test_a_declared_filter_is_a_filter_and_another_field_is_not() -> None:
    class Deep(ListRequest):
        deep: bool = True
        name: str | None = None
        note: str | None = None

    Deep.filter_attributes = {"name": "name", "note": "note"}
    assert Deep(name="x").filters == {"name": "x"}
    assert ListRequest.filter_attributes == {}


@pytest.mark.parametrize(
    ("given", "mask"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ,", ["a", "b"]),
        ("", []),
        (["a,b"], ["a", "b"]),
        (["a", "b"], ["a", "b"]),
        (["a", "b,c"], ["a", "b,c"]),
        ([], []),
    ],
)
def test_a_field_mask_is_a_list_or_a_string(given: Any, mask: list[str]) -> None:
    assert TypeAdapter(FieldMask).validate_python(given) == mask


@pytest.mark.parametrize("given", [7, [7], {"a": 1}])
def test_a_field_mask_is_nothing_else(given: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(FieldMask).validate_python(given)


def test_names_on_the_wire() -> None:
    class Aliased(BaseModel):
        id: int = Field(alias="ID", json_schema_extra={"readOnly": True})
        plain: int
        other: int = Field(validation_alias=AliasChoices("one", "two"))
        made: int = Field(json_schema_extra=lambda _schema: None)

    assert wire_names(Aliased) == {"ID": "id", "plain": "plain", "other": "other", "made": "made"}
    assert output_only_names(Aliased) == {"ID"}


@pytest.mark.parametrize("name", ["copy", "json", "schema", "query", "filters", "model_x", "_x"])
def test_a_request_may_have_a_field_of_any_name(name: str) -> None:
    field = request_field(name, int, default=3)
    model = create_model("Made", __base__=ListRequest, **field)
    attribute = next(iter(field))
    assert wire_names(model)[name] == attribute
    assert getattr(model(), attribute) == 3
    assert getattr(model.model_validate({name: 5, "page_size": 1}), attribute) == 5


def test_an_ordinary_name_is_the_attribute() -> None:
    assert list(request_field("start", int)) == ["start"]
    assert create_model("Made", **request_field("start", int)).model_fields["start"].is_required()


def test_a_default_may_be_a_field_itself() -> None:
    model = create_model("Made", **request_field("start", int, default=Field(3, ge=0)))
    assert model().model_dump() == {"start": 3}
    assert refusals(model, {"start": -1}) == [(("start",), "greater_than_equal")]


def test_an_annotated_parameter_keeps_its_bounds() -> None:
    model = create_model("Made", **request_field("n", Annotated[int, Field(ge=0)], default=1))
    assert refusals(model, {"n": -1}) == [(("n",), "greater_than_equal")]


def test_the_input_of_a_create_needs_no_output_only_field() -> None:
    model = input_model(Span, "SpanInput", is_partial=False)
    made = model.model_validate({"name": " a ", "start": 3})
    assert isinstance(made, Span)
    assert made.model_dump() == {"id": None, "name": "a", "start": 3, "end": 10}
    assert made.length == 7
    assert made.model_fields_set == {"name", "start"}
    assert schema_of_input(model) is Span
    assert model.__name__ == "SpanInput"


def test_the_input_of_a_create_is_validated_as_the_schema_is() -> None:
    model = input_model(Span, "SpanInput", is_partial=False)
    assert refusals(model, {"start": 1}) == [(("name",), "missing")]
    assert refusals(model, {"name": "x", "start": 1}) == [(("name",), "value_error")]
    assert refusals(model, {"name": "a", "start": 11}) == [((), "value_error")]
    assert refusals(model, {"name": "a", "start": 1, "z": 1}) == [(("z",), "extra_forbidden")]


def test_the_input_of_an_update_needs_nothing() -> None:
    model = input_model(Span, "SpanInput", is_partial=True)
    assert model.model_validate({}).model_fields_set == set()
    assert model.model_validate({"name": " a "}).model_dump(exclude_unset=True) == {"name": "a"}
    assert refusals(model, {"name": "x"}) == [(("name",), "value_error")]
    assert refusals(model, {"name": None}) == [(("name",), "string_type")]


def test_a_rule_over_several_fields_judges_only_what_was_sent() -> None:
    model = input_model(Span, "SpanInput", is_partial=True)
    assert model.model_validate({"start": 20}).model_dump(exclude_unset=True) == {"start": 20}
    assert model.model_validate({"start": 20}).__dict__["end"] == 10
    assert refusals(model, {"start": 20, "end": 15}) == [((), "value_error")]


def test_the_schema_itself_is_not_changed_by_its_inputs() -> None:
    input_model(Span, "SpanInput", is_partial=True)
    assert refusals(Span, {"id": 1, "name": "a", "start": 11}) == [((), "value_error")]
    assert refusals(Span, {"start": 1}) == [(("id",), "missing"), (("name",), "missing")]
    assert Span(id=1, name="a", start=1).model_fields_set == {"id", "name", "start"}


def test_a_bug_in_a_rule_is_not_hidden_when_everything_was_sent() -> None:
    class Buggy(BaseModel):
        a: int

        @model_validator(mode="after")
        def _broken(self) -> Self:
            return self.nothing  # type: ignore[no-any-return, attr-defined]  # the case

    model = input_model(Buggy, "BuggyInput", is_partial=True)
    with pytest.raises(AttributeError):
        model.model_validate({"a": 1})
    model.model_validate({})


def test_rules_before_validation_run_as_they_are() -> None:
    class Before(BaseModel):
        a: int

        @model_validator(mode="before")
        @classmethod
        def _shift(cls, data: Any) -> Any:
            return {name.lower(): value for name, value in data.items()}

    model = input_model(Before, "BeforeInput", is_partial=True)
    assert model.model_validate({"A": 1}).model_dump(exclude_unset=True) == {"a": 1}


def test_absent_fields_are_not_validated_whatever_the_schema_says() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(frozen=True, validate_default=True, extra="allow")

        a: int

    model = input_model(Strict, "StrictInput", is_partial=True)
    assert model.model_validate({}).model_fields_set == set()
    assert refusals(model, {"b": 1}) == [(("b",), "extra_forbidden")]
