from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.audit import GENESIS, Act, Anchor, AuditEntry, ChainWalk, Fault, Finding, hash_entry
from mesh.audit.entries import check_entry
from mesh.audit.files import from_lines, to_line
from mesh.errors import InvalidArgument

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
Row = dict[str, Any]


def chain(length: int, *, salt: str = "") -> list[Row]:
    rows: list[Row] = []
    previous = GENESIS
    for number in range(1, length + 1):
        entry = AuditEntry(Act.CONSULTATION, f"operator/n{number % 3}", "ricerca", f"alerts/a{number}{salt}")
        recorded_at = START + timedelta(seconds=number)
        digest = hash_entry(entry, number, recorded_at, previous)
        rows.append(
            {
                "sequence": number, "recorded_at": recorded_at, "act": entry.act.value, "who": entry.who,
                "why": entry.why, "what": entry.what, "to_whom": "", "case_reference": "",
                "previous_hash": previous, "hash": digest,
            }
        )  # fmt: skip
        previous = digest
    return rows


def walked(rows: Sequence[Mapping[str, Any]], anchor: Anchor | None = None) -> Finding | None:
    walk = ChainWalk(anchor)
    for start in range(0, len(rows), 3):
        if walk.take(rows[start : start + 3]):
            break
    return walk.finish()


def rehash(row: Row, sequence: int, previous: bytes) -> Row:
    entry = AuditEntry(Act(row["act"]), row["who"], row["why"], row["what"], row["to_whom"], row["case_reference"])
    digest = hash_entry(entry, sequence, row["recorded_at"], previous)
    return row | {"sequence": sequence, "previous_hash": previous, "hash": digest}


def test_a_whole_chain_has_no_fault_and_tells_its_head() -> None:
    rows = chain(7)
    walk = ChainWalk()

    assert not walk.take(rows)
    assert walk.finish() is None
    assert walk.head == Anchor(7, rows[-1]["hash"])


def test_a_changed_entry_is_named_with_its_time_and_its_neighbours() -> None:
    rows = chain(9)
    rows[4]["who"] = "operator/altro"
    found = walked(rows)

    assert found is not None
    assert (found.sequence, found.fault) == (5, Fault.CHANGED)
    assert found.recorded_at == START + timedelta(seconds=5)
    assert found.before is not None
    assert found.before.sequence == 4
    assert found.after is not None
    assert found.after.sequence == 6


@pytest.mark.parametrize(("gone", "first"), [(range(1, 2), 1), (range(4, 5), 4), (range(3, 7), 3)])
def test_entries_taken_out_are_missing(gone: range, first: int) -> None:
    found = walked([row for row in chain(9) if row["sequence"] not in gone])

    assert found is not None
    assert (found.sequence, found.fault, found.recorded_at) == (first, Fault.MISSING, None)
    assert found.after is not None
    assert found.after.sequence == gone.stop


def test_two_entries_that_changed_places_are_out_of_place() -> None:
    rows = chain(9)
    rows[3], rows[6] = rows[6] | {"sequence": 4}, rows[3] | {"sequence": 7}
    found = walked(rows)

    assert found is not None
    assert (found.sequence, found.fault) == (4, Fault.OUT_OF_PLACE)
    assert found.explanation == "it was written as entry 7"


def test_an_entry_put_in_between_pushes_the_next_out_of_place() -> None:
    rows = chain(9)
    forged = rehash(rows[4] | {"who": "operator/altro"}, 5, rows[3]["hash"])
    later = [row | {"sequence": row["sequence"] + 1} for row in rows[4:]]
    found = walked([*rows[:4], forged, *later])

    assert found is not None
    assert (found.sequence, found.fault) == (6, Fault.OUT_OF_PLACE)
    assert found.explanation == "it was written as entry 5"


def test_a_changed_entry_with_a_fresh_hash_breaks_the_link_to_the_next() -> None:
    rows = chain(9)
    rows[4] = rehash(rows[4] | {"why": "altro"}, 5, rows[3]["hash"])
    found = walked(rows)

    assert found is not None
    assert (found.sequence, found.fault) == (6, Fault.OUT_OF_PLACE)


def test_a_cut_and_a_chain_written_anew_show_only_against_an_anchor() -> None:
    rows = chain(9)
    anchor = Anchor(9, rows[-1]["hash"])
    cut, anew = walked(rows[:6], anchor), walked(chain(9, salt="x"), anchor)

    assert walked(rows[:6]) is None
    assert walked(chain(9, salt="x")) is None
    assert cut is not None
    assert (cut.sequence, cut.fault) == (7, Fault.MISSING)
    assert anew is not None
    assert (anew.sequence, anew.fault) == (9, Fault.CHANGED)


def test_an_act_that_does_not_exist_is_a_change() -> None:
    rows = chain(3)
    rows[1]["act"] = "nothing"
    found = walked(rows)

    assert found is not None
    assert (found.sequence, found.fault) == (2, Fault.CHANGED)


@given(
    number=st.integers(1, 12),
    change=st.sampled_from(
        [
            {"who": "operator/altro"}, {"why": "ricerca "}, {"what": "alerts/b"}, {"to_whom": "authority/x"},
            {"case_reference": "1"}, {"act": "erasure"}, {"recorded_at": START}, {"hash": GENESIS},
            {"previous_hash": bytes(31) + b"\1"},
        ]
    ),
)  # fmt: skip
@settings(deadline=None)
def test_no_single_change_escapes(number: int, change: Row) -> None:
    rows = chain(12)
    rows[number - 1] |= change
    found = walked(rows)

    assert found is not None
    assert found.sequence == number


@given(order=st.permutations(list(range(6))))
@settings(deadline=None)
def test_no_order_but_the_true_one_is_whole(order: list[int]) -> None:
    rows = chain(6)
    shuffled = [rows[origin] | {"sequence": place} for place, origin in enumerate(order, 1)]

    assert (walked(shuffled) is None) == (order == sorted(order))


@pytest.mark.parametrize("text", ["", "7", "7:", "x:00", "7:00", "-1:" + "00" * 32, "7:" + "zz" * 32])
def test_an_anchor_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Anchor.parse(text)


def test_an_anchor_reads_what_it_prints() -> None:
    anchor = Anchor(7, chain(1)[0]["hash"])

    assert Anchor.parse(str(anchor)) == anchor


def test_a_file_holds_all_that_the_chain_needs() -> None:
    rows = chain(5)
    read = list(from_lines(to_line(row) for row in rows))

    assert read == rows
    assert walked(read) is None


@pytest.mark.parametrize("line", ["", "{}", "[]", "nothing", to_line(chain(1)[0]).replace("+00:00", "")])
def test_a_line_that_is_no_entry_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is not an entry"):
        list(from_lines([to_line(chain(1)[0]), line]))


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_the_database_cannot_hold_is_the_callers_fault(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_entry(AuditEntry(Act.CONSULTATION, "operator/a", text, "alerts/a"))

    assert [violation.field for violation in caught.value.violations] == ["why"]


def test_entries_whose_term_was_over_may_be_gone_if_the_log_says_so() -> None:
    rows = chain(9)
    entry = AuditEntry(Act.ERASURE, "administrator/bianchi", "end of the term", f"audit entries up to {head(rows[3])}")
    recorded_at = START + timedelta(days=1)
    digest = hash_entry(entry, 10, recorded_at, rows[-1]["hash"])
    said = rows[-1] | {
        "sequence": 10, "recorded_at": recorded_at, "act": "erasure", "who": entry.who, "why": entry.why,
        "what": entry.what, "previous_hash": rows[-1]["hash"], "hash": digest,
    }  # fmt: skip

    assert walked([*rows[4:], said]) is None
    assert walked([*rows, said]) is None
    for rest in (rows[4:], [*rows[3:], said], [*rows[5:], said]):
        found = walked(rest)
        assert found is not None
        assert (found.sequence, found.fault) == (1, Fault.MISSING)
        assert found.after is not None
        assert found.after.sequence == rest[0]["sequence"]


def head(row: Row) -> Anchor:
    return Anchor(row["sequence"], row["hash"])
