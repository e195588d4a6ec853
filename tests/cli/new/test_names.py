"""The names of services, good and hostile."""

from __future__ import annotations

import pytest

from bali.resources import Resource
from bali_cli.new.names import MAX_LENGTH, BadName, ServiceName


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user", ("user", "User", "users", "users", "A user")),
        ("order-item", ("order_item", "OrderItem", "order_items", "order-items", "An order item")),
        ("order_item", ("order_item", "OrderItem", "order_items", "order-items", "An order item")),
        ("company", ("company", "Company", "companies", "companies", "A company")),
        ("address", ("address", "Address", "addresses", "addresses", "An address")),
        ("user2", ("user2", "User2", "user2s", "user2s", "A user2")),
    ],
)
def test_the_names_in_the_code_follow_from_the_name(
    name: str, expected: tuple[str, str, str, str, str]
) -> None:
    names = ServiceName.parse(name)
    sentence = f"{names.article} {names.words}"
    found = (names.module, names.model, names.plural, names.endpoint, sentence)
    assert found == expected


@pytest.mark.parametrize("name", ["user", "order-item", "company", "x-ray"])
def test_the_names_are_those_that_a_resource_has(name: str) -> None:
    names = ServiceName.parse(name)
    resource: type[Resource] = type(f"{names.model}Resource", (Resource,), {})
    assert resource.singular_name() == names.module
    assert resource.plural_name() == names.plural
    assert resource.endpoint() == f"/{names.endpoint}"


def test_the_longest_name_is_that_of_a_host() -> None:
    assert ServiceName.parse("a" * MAX_LENGTH).module == "a" * MAX_LENGTH
    with pytest.raises(BadName, match="has 64 characters"):
        ServiceName.parse("a" * (MAX_LENGTH + 1))


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "/",
        "/etc",
        "../user",
        "user/../..",
        "a\\b",
        "user ",
        " user",
        "user\n",
        "us er",
        "user\x00",
        "-user",
        "user-",
        "--user",
        "order--item",
        "order-_item",
        "_user",
        "user.py",
        "1user",
        "order-2",
        "User",
        "USER",
        "üser",
        "usеr",  # noqa: RUF001 - a Cyrillic letter
        "ｕｓｅｒ",  # noqa: RUF001 - letters that NFKC makes plain
        "用户",
        "user😀",
        "us\udcffer",
        "{{ 7 * 7 }}",
        "{% include 'x' %}",
        "user;rm",
        "$(id)",
        "~",
        "con:",
        "%s",
    ],
)
def test_a_hostile_spelling_is_refused(name: str) -> None:
    with pytest.raises(BadName, match="is no name for a service"):
        ServiceName.parse(name)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(BadName, match="is empty"):
        ServiceName.parse("")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("class", "a keyword of Python"),
        ("match", "a keyword of Python"),
        ("json", "a module of Python's standard library"),
        ("email", "a module of Python's standard library"),
        ("test", "a part of its own"),
        ("tests", "a part of its own"),
        ("models", "a part of its own"),
        ("services", "a part of its own"),
        ("main", "a part of its own"),
        ("core", "a part of its own"),
        ("bali", "a package that the service needs"),
        ("bali-cli", "a package that the service needs"),
        ("fastapi", "a package that the service needs"),
        ("grpc", "a package that the service needs"),
        ("google", "a package that the service needs"),
        ("sqlalchemy", "a package that the service needs"),
        ("context", "its model Context"),
        ("model-resource", "its model ModelResource"),
        ("base-model", "its model BaseModel"),
        ("value-error", "its model ValueError"),
        ("a-b", "write `ab`"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str, reason: str) -> None:
    with pytest.raises(BadName) as caught:
        ServiceName.parse(name)
    assert reason in str(caught.value)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "near"), [("User", "user"), ("OrderItem", "order-item"), ("order item", "order-item")]
)
def test_a_name_that_is_nearly_right_is_corrected(name: str, near: str) -> None:
    with pytest.raises(BadName, match=f"Perhaps `{near}`"):
        ServiceName.parse(name)
