from __future__ import annotations

import pytest

from bali.resources.naming import camel, kebab, pluralise, snake


@pytest.mark.parametrize(
    ("given", "as_snake", "as_camel", "as_kebab"),
    [
        ("OrderItem", "order_item", "OrderItem", "order-item"),
        ("order_item", "order_item", "OrderItem", "order-item"),
        ("order-item", "order_item", "OrderItem", "order-item"),
        ("HTTPServer", "http_server", "HTTPServer", "http-server"),
        ("userID", "user_id", "UserID", "user-id"),
        ("OAuth2Client", "o_auth2_client", "OAuth2Client", "o-auth2-client"),
        ("user", "user", "User", "user"),
        ("_private_", "private", "Private", "private"),
        ("", "", "", ""),
    ],
)
def test_one_name_in_three_cases(given: str, as_snake: str, as_camel: str, as_kebab: str) -> None:
    assert (snake(given), camel(given), kebab(given)) == (as_snake, as_camel, as_kebab)


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("user", "users"),
        ("city", "cities"),
        ("day", "days"),
        ("status", "statuses"),
        ("box", "boxes"),
        ("quiz", "quizes"),
        ("branch", "branches"),
        ("wish", "wishes"),
        ("order_item", "order_items"),
    ],
)
def test_regular_plurals(noun: str, plural: str) -> None:
    assert pluralise(noun) == plural
