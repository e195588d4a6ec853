"""Walking all pages of a list (AIP-158)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from bali.clients.method import CallOptions, Method
from bali.errors import DataLoss

__all__ = ["each_item", "each_item_async"]


def each_item(
    client: Any,
    method: Method,
    request: Any,
    given: Mapping[str, Any],
    options: CallOptions,
    *,
    field: str,
) -> Iterator[Any]:
    """Give the items of every page: those in `field` of each answer.

    Each page is a call of its own, with a deadline of its own. Raises `DataLoss` when the service
    gives the token of a page as that of the next one, which would never end.
    """
    message = method.encode(request, given)
    while True:
        page = client._unary(method, message, {}, options)  # noqa: SLF001 - made for generated code
        yield from getattr(page, field)
        if not _turn(message, page):
            return


async def each_item_async(
    client: Any,
    method: Method,
    request: Any,
    given: Mapping[str, Any],
    options: CallOptions,
    *,
    field: str,
) -> AsyncIterator[Any]:
    """Do the same from an event loop."""
    message = method.encode(request, given)
    while True:
        page = await client._unary(method, message, {}, options)  # noqa: SLF001 - as above
        for item in getattr(page, field):
            yield item
        if not _turn(message, page):
            return


def _turn(message: Any, page: Any) -> bool:
    """Make the request that of the next page; tell whether there is one."""
    token: str = page.next_page_token
    if token and token == message.page_token:
        raise DataLoss("the service gave the page token of this page as that of the next one")
    message.page_token = token
    return bool(token)
