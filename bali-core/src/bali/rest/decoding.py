"""Which request bodies are JSON; `bali.schemas.decoding` reads them."""

from __future__ import annotations

from bali.errors import UnsupportedMedia

__all__ = ["check_content_type"]


def check_content_type(content_type: str | None) -> None:
    """Return when a body of this content type is JSON in UTF-8.

    Raises `UnsupportedMedia` otherwise, also for a body without a content type: a browser sends
    such a request across origins without asking first.
    """
    essence, _, parameters = (content_type or "").partition(";")
    essence = essence.strip().lower()
    is_json = essence == "application/json" or (
        essence.startswith("application/") and essence.endswith("+json")
    )
    if not is_json:
        found = f"{essence!r} is" if essence else "A body without a content type is"
        raise UnsupportedMedia(f"{found} not supported; send application/json")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMedia(f"The charset {charset!r} is not supported; JSON is UTF-8")
