"""Frames of a link: which flits share one, and when it ends."""

from __future__ import annotations

import pytest

from nop.framed_link import FramedLink, Frames

FRAMES = Frames(cycles=(1, 3, 5, 7), slots=(0, 2, 4))


@pytest.mark.parametrize(
    ("ready", "taken", "frames", "ends"),
    [
        ((0,), [0], [0], {}),
        ((0, 1, 2), [0, 2, 4], [0, 0, 0], {0: 7}),
        # A frame that is full is followed by the next one.
        ((0, 1, 2, 3), [0, 2, 4, 7], [0, 0, 0, 1], {0: 7}),
        # One flit too late for its slot: its frame begins after the end of the one before.
        ((0, 3), [0, 3], [0, 1], {0: 3}),
    ],
)
def test_a_frame_takes_flits_as_long_as_one_is_there_for_each_slot(
    ready: tuple[int, ...], taken: list[int], frames: list[int], ends: dict[int, float]
) -> None:
    places, complete = FramedLink(FRAMES).put(ready)
    assert [place.taken for place in places] == taken
    assert [place.frame for place in places] == frames
    assert complete == ends


def test_frames_without_flits_follow_each_other() -> None:
    """A flit waits until one of two cycles has ended."""
    link = FramedLink(Frames(cycles=(2, 3), slots=(0,)))
    places, _ = link.put((5,))
    assert places[0].taken == 6


def test_one_flit_comes_out_in_a_cycle() -> None:
    """A frame of one flit ends while the flits of the frame before it still come out."""
    link = FramedLink(FRAMES)
    assert link.come((7, 8, 9)) == (7, 8, 9)
    assert link.come((8,)) == (10,)
    assert link.come((20, 21)) == (20, 21)
