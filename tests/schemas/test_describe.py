from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal, NewType

import pytest
import typing_extensions
from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    EmailStr,
    Field,
    JsonValue,
    PastDate,
    PositiveInt,
    computed_field,
)

from bali.errors import ConfigurationError
from bali.schemas import (
    Describer,
    EnumNode,
    ListNode,
    MapNode,
    Node,
    Record,
    Scalar,
    ScalarKind,
    UnionNode,
    describe,
    records_of,
)

STRING, INT, ANY = Scalar(ScalarKind.STRING), Scalar(ScalarKind.INT), Scalar(ScalarKind.ANY)


class Color(enum.Enum):
    """What it looks like."""

    RED = "red"
    GREEN = "green"


class Kind(enum.StrEnum):
    CAT = "cat"


class Cat(BaseModel):
    kind: Literal[Kind.CAT] = Kind.CAT


class Dog(BaseModel):
    """A friend."""

    kind: Literal["dog"] = "dog"
    name: str


class Tree(BaseModel):
    children: list[Tree] = []


UserId = NewType("UserId", int)
Text = typing_extensions.TypeAliasType("Text", str)
MaskLike = Annotated[list[str], Scalar(ScalarKind.FIELD_MASK)]


class _Shout(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("annotation", "node", "is_nullable"),
    [
        (bool, Scalar(ScalarKind.BOOL), False),
        (int, INT, False),
        (float, Scalar(ScalarKind.FLOAT), False),
        (str, STRING, False),
        (_Shout, STRING, False),
        (bytes, Scalar(ScalarKind.BYTES), False),
        (decimal.Decimal, Scalar(ScalarKind.DECIMAL), False),
        (datetime.datetime, Scalar(ScalarKind.DATETIME), False),
        (datetime.date, Scalar(ScalarKind.DATE), False),
        (datetime.time, Scalar(ScalarKind.TIME), False),
        (datetime.timedelta, Scalar(ScalarKind.TIMEDELTA), False),
        (uuid.UUID, Scalar(ScalarKind.UUID), False),
        (Any, ANY, False),
        (object, ANY, False),
        (Any | None, ANY, True),
        (JsonValue, ANY, False),
        (int | None, INT, True),
        (PositiveInt, INT, False),
        (Annotated[int, Field(gt=1)] | None, INT, True),
        (EmailStr, STRING, False),
        (AwareDatetime | None, Scalar(ScalarKind.DATETIME), True),
        (PastDate, Scalar(ScalarKind.DATE), False),
        (UserId, INT, False),
        (Text, STRING, False),
        (MaskLike, Scalar(ScalarKind.FIELD_MASK), False),
        (MaskLike | None, Scalar(ScalarKind.FIELD_MASK), True),
        (list[int], ListNode(item=INT), False),
        (list, ListNode(item=ANY), False),
        (set[int], ListNode(item=INT, container=set), False),
        (frozenset[int], ListNode(item=INT, container=frozenset), False),
        (tuple[int, ...], ListNode(item=INT, container=tuple), False),
        (collections.abc.Sequence[int], ListNode(item=INT), False),
        (list[int | None], ListNode(item=INT, is_item_nullable=True), False),
        (dict[str, int], MapNode(value=INT), False),
        (dict, MapNode(value=ANY), False),
        (collections.abc.Mapping[str, int], MapNode(value=INT), False),
        (dict[Annotated[str, Field(max_length=3)], int], MapNode(value=INT), False),
        (dict[str, int | None] | None, MapNode(value=INT, is_value_nullable=True), True),
        (
            Color,
            EnumNode(
                name="Color",
                members=(("RED", "red"), ("GREEN", "green")),
                type=Color,
                description="What it looks like.",
            ),
            False,
        ),
        (Literal["a", "b"], EnumNode(name="", members=(("a", "a"), ("b", "b"))), False),
        (Literal[Kind.CAT], EnumNode(name="", members=(("cat", "cat"),)), False),
    ],
)
def test_annotation_has_its_node(annotation: Any, node: Node, is_nullable: bool) -> None:
    assert Describer().annotation(annotation, where="here") == (node, is_nullable)


def test_bool_is_no_int_and_datetime_is_no_date() -> None:
    assert describe(_model(a=bool)).fields[0].node != INT
    assert describe(_model(a=datetime.datetime)).fields[0].node == Scalar(ScalarKind.DATETIME)


def _model(**annotations: Any) -> type[BaseModel]:
    return type("Made", (BaseModel,), {"__annotations__": annotations, "__module__": __name__})


@pytest.mark.parametrize(
    "union",
    [
        Annotated[Cat | Dog, Field(discriminator="kind")],
        Annotated[Cat | Dog, Discriminator("kind")],
        Annotated[Cat | Dog, Field(discriminator=Discriminator("kind"))],
    ],
)
def test_tagged_union_has_its_variants(union: Any) -> None:
    describer = Describer()
    for annotation, is_nullable in ((union, False), (union | None, True)):
        described = describer.annotation(annotation, where="here")
        assert described.is_nullable is is_nullable
        assert isinstance(described.node, UnionNode)
        assert described.node.discriminator == "kind"
        tags = {variant.tag: variant.record for variant in described.node.variants}
        assert tags == {"cat": describer.model(Cat), "dog": describer.model(Dog)}
        assert all(type(tag) is str for tag in tags)


def test_discriminator_of_a_field() -> None:
    class Owner(BaseModel):
        pet: Cat | Dog = Field(discriminator="kind")
        other: Cat | Dog | None = Field(default=None, discriminator="kind")

    pet, other = describe(Owner).fields
    assert isinstance(pet.node, UnionNode)
    assert isinstance(other.node, UnionNode)
    assert (pet.is_nullable, other.is_nullable) == (False, True)


def test_field_says_all_that_its_model_says() -> None:
    class User(BaseModel):
        """A user.

        Of the service.
        """

        id: int = Field(json_schema_extra={"readOnly": True}, description="The key.")
        name: str = Field(alias="userName")
        size: int = 3
        tags: list[str] = Field(default_factory=list)
        hidden: str = Field(default="", exclude=True)

    record = describe(User)
    assert (record.name, record.type) == ("User", User)
    assert record.description == "A user.\n\nOf the service."
    assert [field.wire_name for field in record.fields] == ["id", "userName", "size", "tags"]
    key, name, size, tags = record.fields
    assert (key.is_output_only, key.description, key.is_required) == (True, "The key.", True)
    assert (name.name, name.alias, name.is_output_only) == ("name", "userName", False)
    assert (size.is_required, size.default) == (False, 3)
    assert (tags.is_required, tags.default) == (False, None)
    assert record.field("name") is name
    assert record.field("userName") is None


def test_computed_field_is_output_only() -> None:
    class User(BaseModel):
        first: str

        @computed_field(description="For people.", alias="displayName")
        def display_name(self) -> str | None:
            return self.first

    field = describe(User).fields[1]
    assert (field.name, field.wire_name, field.node) == ("display_name", "displayName", STRING)
    assert (field.is_output_only, field.is_required, field.is_nullable) == (True, False, True)
    assert field.description == "For people."


def test_model_without_docstring_does_not_inherit_one() -> None:
    class Puppy(Dog):
        pass

    assert describe(Puppy).description == ""
    assert describe(Dog).description == "A friend."


@pytest.mark.parametrize(
    ("name", "title", "expected"),
    [
        ("User", None, "User"),
        ("UserSchema", None, "User"),
        ("Schema", None, "Schema"),
        ("User", "order item", "OrderItem"),
        ("Page[User]", None, "PageUser"),
    ],
)
def test_name_of_a_record(name: str, title: str | None, expected: str) -> None:
    model = type(
        name, (BaseModel,), {"__module__": __name__, "model_config": ConfigDict(title=title)}
    )
    assert describe(model).name == expected


def test_record_may_contain_itself() -> None:
    record = describe(Tree)
    node = record.fields[0].node
    assert isinstance(node, ListNode)
    assert node.item is record


def test_one_describer_makes_one_record_of_a_model() -> None:
    describer = Describer()
    assert describer.model(Dog) is describer.model(Dog)
    assert describer.model(Dog) is not describe(Dog)


@pytest.mark.parametrize(
    ("annotation", "wanted"),
    [
        (int | str, "a tagged union"),
        (Cat | Dog, "a tagged union"),
        (tuple[int, str], r"tuple\[X, ...\] or a model"),
        (tuple[int], r"tuple\[X, ...\] or a model"),
        (dict[int, str], "keys must be strings"),
        (dict[str | None, str], "keys must be strings"),
        (Literal["a", 1], "a Literal of strings"),
        (Literal[1, 2], "a Literal of strings"),
        (complex, "type 'complex' has no form"),
        (type[int], "has no form"),
        (list[complex], r"Made.field\[\]: type 'complex'"),
        (dict[str, complex], r"Made.field\{\}: type 'complex'"),
        (Annotated[int | Dog, Field(discriminator="kind")], "a pydantic model as variant"),
        (Annotated[Dog | Tree, Field(discriminator="kind")], "variant Tree needs a field `kind"),
    ],
)
def test_type_without_a_form_is_refused_with_its_place(annotation: Any, wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=wanted) as caught:
        Describer().annotation(annotation, where="Made.field")
    assert str(caught.value).startswith("Made.field")


def test_union_of_unions_is_refused() -> None:
    inner = Annotated[Cat | Dog, Field(discriminator="kind")]
    with pytest.raises(ConfigurationError, match="one discriminator for all variants"):
        Describer().annotation(inner | Tree, where="Made.field")


class _ReadsOther(BaseModel):
    name: str = Field(validation_alias="other")


class _WritesOther(BaseModel):
    name: str = Field(serialization_alias="other")


class _Choices(BaseModel):
    name: str = Field(validation_alias=AliasChoices("a", "b"))


@pytest.mark.parametrize("model", [_ReadsOther, _WritesOther, _Choices])
def test_field_with_two_names_is_refused(model: type[BaseModel]) -> None:
    with pytest.raises(ConfigurationError, match=rf"{model.__name__}\.name: .*set `alias` alone"):
        describe(model)


def test_further_names_to_read_by_are_allowed() -> None:
    class User(BaseModel):
        name: str = Field(validation_alias=AliasChoices("name", "old_name"))

    assert describe(User).fields[0].wire_name == "name"


def test_generated_aliases_are_names_on_the_wire() -> None:
    class User(BaseModel):
        model_config = ConfigDict(alias_generator=str.upper)
        name: str

    assert describe(User).fields[0].wire_name == "NAME"


def test_records_of_a_node_are_each_named_once() -> None:
    class Owner(BaseModel):
        pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
        by_name: dict[str, Dog]
        trees: list[Tree] | None = None

    names = [record.name for record in records_of(describe(Owner))]
    assert names == ["Owner", "Dog", "Tree", "Cat"]
    assert list(records_of(STRING)) == []


def test_empty_record_has_no_field() -> None:
    assert Record(name="Empty").field("x") is None


def test_field_behaviour_is_told() -> None:
    class Account(BaseModel):
        login: str = Field(json_schema_extra={"x-immutable": True})
        password: str = Field(json_schema_extra={"writeOnly": True})

    login, password = describe(Account).fields
    assert (login.is_immutable, login.is_input_only) == (True, False)
    assert (password.is_immutable, password.is_input_only) == (False, True)


def test_a_field_that_would_be_nowhere_is_refused() -> None:
    class Nowhere(BaseModel):
        key: str = Field(json_schema_extra={"writeOnly": True, "readOnly": True})

    with pytest.raises(ConfigurationError, match=r"Nowhere\.key"):
        describe(Nowhere)
