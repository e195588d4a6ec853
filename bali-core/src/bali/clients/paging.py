"""Walking all pages of a list (AIP-158)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from bali.errors import DataLoss

__all__ = ["each_item", "each_item_async"]


def each_item(call: Callable[[str], Any], field: str, first_token: str) -> Iterator[Any]:
    """Give the items of every page; `call` takes a page token and returns a page.

    Raises `DataLoss` when the service gives the same token twice, which would never end.
    """
    token = first_token
    while True:
        page = call(token)
        yield from getattr(page, field)
        token = _next(page, token)
        if not token:
            return


async def each_item_async(
    call: Callable[[str], Awaitable[Any]], field: str, first_token: str
) -> AsyncIterator[Any]:
    """Do the same from an event loop."""
    token = first_token
    while True:
        page = await call(token)
        for item in getattr(page, field):
            yield item
        token = _next(page, token)
        if not token:
            return


def _next(page: Any, token: str) -> str:
    found: str = page.next_page_token
    if found and found == token:
        raise DataLoss("the service gave the page token of this page as that of the next one")
    return found
