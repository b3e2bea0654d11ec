from __future__ import annotations

from mesh.local.mot import MotRows, TrackedBox


def _box(track: int) -> TrackedBox:
    return TrackedBox(track=track, left=0.5, top=0.25, width=0.1, height=0.2, score=0.75)


def test_row_is_in_pixels_counted_from_one() -> None:
    assert MotRows(width=768, height=576).row(3, _box(2**60)) == "3,1,385.00,145.00,76.80,115.20,0.7500,-1,-1,-1"


def test_tracks_are_numbered_in_the_order_of_their_appearance() -> None:
    rows = MotRows(width=100, height=100)
    numbers = [rows.row(1, _box(track)).split(",")[1] for track in (77, 5, 77, 9)]

    assert numbers == ["1", "2", "1", "3"]
    assert rows.tracks == 3
