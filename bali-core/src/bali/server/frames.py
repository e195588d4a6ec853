"""Where HTTP/2 frames begin and end in a stream of bytes (RFC 9113 section 4.1)."""

from __future__ import annotations

__all__ = ["GOAWAY", "PREFACE", "FrameCursor"]

#: What an HTTP/2 client sends first (RFC 9113 section 3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: "Open no new stream here; what is open goes on" (RFC 9113 section 6.8): no error, and the highest
#: possible last stream, so that a later GOAWAY may still name the true one.
GOAWAY = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x00"

_HEAD_BYTES = 9


class FrameCursor:
    """Follows one direction of a connection, chunk by chunk."""

    __slots__ = ("_head", "_skip", "has_frames")

    def __init__(self) -> None:
        self._head = b""
        self._skip = 0
        #: Whether one frame, which is the server's SETTINGS, has passed or begun.
        self.has_frames = False

    @property
    def at_boundary(self) -> bool:
        """Whether the bytes so far end where a frame ends."""
        return not self._skip and not self._head

    def feed(self, data: bytes) -> int | None:
        """Move over `data`; return the last place in it where a frame may be put, if any.

        The place is an offset in `data`: 0 is before it, `len(data)` behind it.
        """
        start = len(self._head)
        boundary = 0 if self.has_frames and not (self._skip or start) else None
        if start:
            data = self._head + data
            self._head = b""
        size = len(data)
        position = self._skip
        while position + _HEAD_BYTES <= size:
            if self.has_frames:
                boundary = position - start
            self.has_frames = True
            length = data[position] << 16 | data[position + 1] << 8 | data[position + 2]
            position += _HEAD_BYTES + length
        if position < size:
            if self.has_frames:
                boundary = position - start
            self._head = data[position:]
            self._skip = 0
        else:
            if position == size:
                boundary = size - start
            self._skip = position - size
        # A place inside the bytes already sent is no place.
        return boundary if boundary is not None and boundary >= 0 else None
