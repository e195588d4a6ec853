from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bali.server.frames import GOAWAY, FrameCursor


def frame(size: int) -> bytes:
    return size.to_bytes(3, "big") + b"\x00\x00\x00\x00\x00\x01" + b"p" * size


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 30), max_size=20),
)
def test_places_are_ends_of_frames(sizes: list[int], cuts: list[int]) -> None:
    """Whatever the pieces: a place is offered exactly where a frame has ended, and is the last."""
    data = b"".join(map(frame, sizes))
    ends = {sum(9 + size for size in sizes[: i + 1]) for i in range(len(sizes))}
    cursor = FrameCursor()
    assert cursor.at_boundary
    start = 0
    for size in [*cuts, len(data)]:
        piece = data[start : start + size]
        if not piece:
            break
        inside = [end - start for end in ends if start <= end <= start + len(piece)]
        if start == 0:
            inside = [place for place in inside if place]
        assert cursor.feed(piece) == max(inside, default=None)
        start += len(piece)
        assert cursor.at_boundary is (start in ends)
    assert cursor.has_frames


def test_goaway_is_one_frame() -> None:
    cursor = FrameCursor()
    assert cursor.feed(frame(0) + GOAWAY) == 9 + len(GOAWAY)
    assert cursor.at_boundary
