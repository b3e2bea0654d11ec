from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detector.domain.outbox import Outbox


def test_items_of_an_optic_share_a_parcel_in_their_order() -> None:
    outbox: Outbox[int] = Outbox(10)
    for optic, item in (("a", 1), ("b", 2), ("a", 3)):
        outbox.add(optic, item)

    parcels = [outbox.take(10), outbox.take(10), outbox.take(10)]
    assert [(parcel.optic, parcel.items) for parcel in parcels if parcel] == [("a", (1, 3)), ("b", (2,))]


def test_a_large_backlog_does_not_hold_up_the_others() -> None:
    outbox: Outbox[int] = Outbox(100)
    for number in range(5):
        outbox.add("a", number)
    outbox.add("b", 9)

    taken = [outbox.take(2) for _ in range(4)]
    assert [parcel.optic for parcel in taken if parcel] == ["a", "b", "a", "a"]


def test_a_full_outbox_drops_the_oldest_of_the_largest_backlog_and_says_so() -> None:
    outbox: Outbox[int] = Outbox(3)
    dropped = [outbox.add(optic, item) for optic, item in (("a", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 5))]
    first, second = outbox.take(10), outbox.take(10)

    assert dropped == [0, 0, 0, 1, 1]
    assert first is not None
    assert second is not None
    assert first.dropped + second.dropped == 2
    assert outbox.take(10) is None


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 10), st.integers(1, 5))
def test_what_goes_in_comes_out_or_is_counted(optics: list[str], capacity: int, most: int) -> None:
    outbox: Outbox[int] = Outbox(capacity)
    dropped = 0
    for number, optic in enumerate(optics):
        dropped += outbox.add(optic, number)
        assert len(outbox) <= capacity
    items: list[int] = []
    told = 0
    while (parcel := outbox.take(most)) is not None:
        items += parcel.items
        told += parcel.dropped

    assert len(items) + dropped == len(optics)
    assert told <= dropped
    assert len(outbox) == 0
