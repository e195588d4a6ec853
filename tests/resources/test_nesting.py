"""Resources whose items belong to one of another: what is refused at start, and outside calls."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bali import Bali, Context, Database, ModelResource, Resource, action
from bali.errors import ConfigurationError
from bali.resources import Collector

db = Database("sqlite://")
elsewhere = Database("sqlite://")


class Author(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    __tablename__ = "nesting_authors"

    name: Mapped[str]

    written: Mapped[list[Book]] = relationship(foreign_keys="Book.author_id")


class Book(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    __tablename__ = "nesting_books"

    author_id: Mapped[int] = mapped_column(ForeignKey("nesting_authors.id"))
    editor_id: Mapped[int] = mapped_column(ForeignKey("nesting_authors.id"))
    title: Mapped[str]


class Review(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    __tablename__ = "nesting_reviews"

    about: Mapped[int] = mapped_column("book_id", ForeignKey("nesting_books.id"))


class Planet(elsewhere.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    __tablename__ = "nesting_planets"


class AuthorResource(ModelResource):
    model = Author


class BookResource(ModelResource):
    model = Book
    parent = AuthorResource
    parent_key = "editor_id"


class ReviewResource(ModelResource):
    model = Review
    parent = BookResource


class PlanetResource(ModelResource):
    model = Planet


def resource(**values: Any) -> type[Resource]:
    return type("BookResource", (ModelResource,), {"model": Book, **values})


def error_of(kind: type[Resource]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Collector().collect(kind)
    return str(caught.value)


def test_the_foreign_key_is_found_or_named() -> None:
    spec = Collector().collect(ReviewResource)
    assert spec.path == "/authors/{author_id}/books/{book_id}/reviews"
    for operation in spec.actions:
        assert operation.parents == ("author_id", "book_id")
        names = [field.wire_name for field in operation.request.fields]
        assert names[:2] == ["author_id", "book_id"]
    create = spec.action("create")
    assert create is not None
    assert create.body is not None
    assert create.body.model_fields["about"].json_schema_extra == {"readOnly": True}


def test_several_foreign_keys_need_a_name() -> None:
    text = error_of(resource(parent=AuthorResource))
    assert "Book has several foreign keys to Author: author_id, editor_id" in text
    assert "parent_key = 'author_id'" in text


def test_a_wrong_name_is_refused() -> None:
    text = error_of(resource(parent=AuthorResource, parent_key="title"))
    assert "parent_key 'title' is no foreign key from Book to Author.id" in text
    assert "author_id, editor_id" in text


def test_no_foreign_key_is_refused() -> None:
    text = error_of(resource(parent=ReviewResource))
    assert "Book has no foreign key to Review.id" in text
    assert 'ForeignKey("nesting_reviews.id")' in text


def test_what_is_no_resource_is_refused() -> None:
    assert "parent 'authors' is not a Resource class" in error_of(resource(parent="authors"))


def test_a_parent_without_a_model_is_refused() -> None:
    assert "Resource has no database model" in error_of(resource(parent=Resource))


def test_a_parent_of_another_database_is_refused() -> None:
    assert "Book and Planet are in two databases" in error_of(resource(parent=PlanetResource))


def test_a_resource_is_not_its_own_parent() -> None:
    kind: Any = resource()
    kind.parent = kind
    assert "one of its own parents" in error_of(kind)


def test_a_filter_has_not_the_name_of_a_parent() -> None:
    text = error_of(resource(parent=AuthorResource, parent_key="author_id", filters=["author_id"]))
    assert "filter 'author_id'" in text


def test_a_parameter_for_the_key_of_the_parent_has_its_type() -> None:
    @action()
    async def count(self: Any, author_id: str) -> int:
        return 0

    text = error_of(resource(parent=AuthorResource, parent_key="author_id", count=count))
    assert "'author_id' is the key of the parent" in text


def test_a_nested_path_and_an_action_at_the_same_place_clash() -> None:
    @action(detail=True)
    async def books(self: Any, pk: int) -> int:
        return 0

    above = type("AuthorResource", (ModelResource,), {"model": Author, "books": books})
    below = resource(parent=AuthorResource, parent_key="author_id")
    with pytest.raises(ConfigurationError, match="HTTP route"):
        Bali(title="clash", resources=[above, below], databases=[db])


def test_a_misspelled_attribute_is_refused() -> None:
    assert "write 'parent_key'" in error_of(resource(parent_kye="author_id"))


def test_a_store_outside_a_call_needs_the_key() -> None:
    with pytest.raises(RuntimeError, match=r"'book_id' in `context.parents`"):
        _ = ReviewResource().store
    context = Context(parents={"author_id": 1, "book_id": 2})
    assert ReviewResource(None, context).store is not None


@pytest.mark.parametrize(
    ("expandable", "text"),
    [
        ({"books": BookResource}, "'books' is no relationship of Author; there are: written"),
        ({"written": ReviewResource}, "'written' of Author leads to Book, and not to Review"),
        ({"written": Book}, "expandable 'written' is <class"),
        ({"written": Resource}, "write a resource with a database model"),
        (["written"], "write a dict of resources"),
    ],
)
def test_what_cannot_be_expanded_is_refused(expandable: Any, text: str) -> None:
    kind = type("AuthorResource", (ModelResource,), {"model": Author, "expandable": expandable})
    assert text in error_of(kind)


def test_a_relation_has_not_the_name_of_a_field() -> None:
    class AuthorSchema(BaseModel):
        id: int
        written: int

    values = {"model": Author, "schema": AuthorSchema, "expandable": {"written": BookResource}}
    text = error_of(type("AuthorResource", (ModelResource,), values))
    assert "expandable 'written' is a field of AuthorSchema already" in text


@pytest.mark.parametrize(
    "path",
    ["written.nothing", "nothing.title", "name.title", "written.", ".name", "written.a.b.c.title"],
)
def test_a_path_of_a_filter_leads_to_a_field(path: str) -> None:
    values = {"model": Author, "filter_fields": ["name", path]}
    text = error_of(type("AuthorResource", (ModelResource,), values))
    assert repr(path) in text


def test_a_path_of_a_filter_leads_to_what_a_caller_sees() -> None:
    class BookSchema(BaseModel):
        id: int

    book = type("BookResource", (ModelResource,), {"model": Book, "schema": BookSchema})
    values = {
        "model": Author,
        "expandable": {"written": book},
        "filter_fields": ["written.title"],
    }
    text = error_of(type("AuthorResource", (ModelResource,), values))
    assert "'written.title' leads to no field" in text
