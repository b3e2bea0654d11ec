from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.local.errors import SourceError
from mesh.local.scorecard import intervals
from mesh.local.scorecard.card import Replay, ZoneMean, score
from mesh.local.scorecard.matching import GRACE_SECONDS, Judgement, Told, judge
from mesh.local.scorecard.report import as_json, count_rows, rule_rows, unsettled
from mesh.local.scorecard.truth import Crossings, Truth

RULE, OTHER, LINE, ZONE = "o/rules/inside", "o/rules/crossed", "o/lines/gate", "o/zones/lawn"
SCENE = {"rules": [{"name": RULE}, {"name": OTHER}]}


def truth(**labels: Any) -> Truth:
    return Truth.model_validate({"configuration": SCENE, **labels})


def episode(start: float, end: float, *, due: float | None = None) -> dict[str, Any]:
    return {"rule": RULE, "start": start, "due": start + 1 if due is None else due, "end": end}


def judgements(labels: Truth, *times: float) -> list[Judgement]:
    return [judgement for _, judgement in judge(labels, RULE, [Told(RULE, time) for time in times]).events]


@pytest.mark.parametrize(
    ("time", "judgement"),
    [
        (9.9, Judgement.FALSE_ALARM),
        (10.0, Judgement.DETECTION),
        (20.0 + GRACE_SECONDS, Judgement.DETECTION),
        (20.1 + GRACE_SECONDS, Judgement.FALSE_ALARM),
        (45.0, Judgement.UNJUDGED),
    ],
)
def test_what_one_event_was(time: float, judgement: Judgement) -> None:
    labels = truth(episodes=[episode(10, 20)], unjudged=[{"rule": RULE, "start": 40, "end": 50}])

    assert judgements(labels, time) == [judgement]


def test_one_event_tells_one_episode_and_another_in_the_same_time_repeats_it() -> None:
    labels = truth(episodes=[episode(10, 20)])

    assert judgements(labels, 11, 15) == [Judgement.DETECTION, Judgement.REPETITION]


def test_two_at_once_need_two_events() -> None:
    labels = truth(episodes=[episode(10, 20), episode(12, 22)])

    assert len(judge(labels, RULE, [Told(RULE, 13)]).missed) == 1
    assert judgements(labels, 11, 13) == [Judgement.DETECTION] * 2


def test_events_go_to_the_episodes_that_most_can_have() -> None:
    # The first could tell either, the second only the later one.
    labels = truth(episodes=[episode(10, 12), episode(11, 40)])

    assert judgements(labels, 12.1, 30) == [Judgement.DETECTION] * 2


def test_events_of_other_rules_say_nothing_about_this_one() -> None:
    result = judge(truth(episodes=[episode(10, 20)]), RULE, [Told(OTHER, 12)])

    assert (len(result.missed), result.events) == (1, ())


def test_the_delay_counts_from_the_defined_moment() -> None:
    labels = truth(episodes=[episode(10, 20, due=11), episode(30, 40, due=35)])

    assert judge(labels, RULE, [Told(RULE, 11.5), Told(RULE, 31)]).delays == (0.5, 0.0)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 20)), max_size=8),
    st.lists(st.floats(0, 130), max_size=12),
)
def test_nothing_is_lost_or_counted_twice(spans: list[tuple[float, float]], times: list[float]) -> None:
    labels = truth(episodes=[episode(start, start + length, due=start) for start, length in spans])
    result = judge(labels, RULE, [Told(RULE, time) for time in times])

    assert len(result.detected) + len(result.missed) == len(spans)
    assert len(result.events) == len(times)
    assert result.count(Judgement.DETECTION) == len(result.detected)


def test_intervals_are_those_of_the_books() -> None:
    # Wilson for 9 of 10; Garwood for 0 and 3 events; Student for 1, 2, 3.
    found = intervals.share(9, 10)
    none, three, middle = intervals.rate(0, 2.0), intervals.rate(3, 1.0), intervals.mean([1.0, 2.0, 3.0])

    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert none is not None
    assert (none.value, none.low, none.high) == pytest.approx((0, 0, 3.6889 / 2), abs=1e-4)
    assert three is not None
    assert (three.low, three.high) == pytest.approx((0.6187, 8.7673), abs=1e-4)
    assert middle is not None
    assert (middle.low, middle.high) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)


def test_of_nothing_nothing_is_said() -> None:
    assert intervals.share(0, 0) is intervals.rate(1, 0.0) is intervals.mean([]) is None
    only = intervals.mean([4.0])
    assert only is not None
    assert math.isinf(only.high)


def replay(**changes: Any) -> Replay:
    return Replay(
        **{
            "frames": 100, "seconds": 10.0, "told": (), "crossings": (), "occupancy": (),
            "intervals": ((0.0, 1.0), (1.0, 1.0)), **changes,
        }
    )  # fmt: skip


def test_too_many_and_too_few_in_a_zone_do_not_cancel() -> None:
    labels = truth(occupancy=[{"zone": ZONE, "object_class": "person", "present": [1] * 10 + [2] * 10}])
    seen = (ZoneMean(ZONE, "person", 0.0, 1.0, 2.0), ZoneMean(ZONE, "person", 1.0, 1.0, 1.0))

    (found,) = score(labels, replay(occupancy=seen), 10.0).occupancy

    assert (found.counted, found.true) == (1.5, 1.5)
    assert found.error == pytest.approx(2 / 3)


def test_an_interval_in_which_the_detector_saw_nobody_counts() -> None:
    labels = truth(occupancy=[{"zone": ZONE, "object_class": "person", "present": [1] * 20}])

    (found,) = score(labels, replay(occupancy=(ZoneMean(ZONE, "person", 0.0, 1.0, 1.0),)), 10.0).occupancy

    assert (found.counted, found.error) == (0.5, 0.5)


def test_crossings_are_summed_and_compared_by_direction() -> None:
    label = {"line": LINE, "object_class": "person", "left_to_right": 4, "right_to_left": 0}
    counted = tuple(Crossings(line=LINE, object_class=kind, left_to_right=2) for kind in ("person", "person", "car"))

    there, back = score(truth(crossings=[label]), replay(crossings=(*counted, counted[0])), 10.0).crossings

    assert (there.counted, there.true, there.error) == (6, 4, 0.5)
    assert (back.counted, back.error) == (0, None)


def test_false_alarms_are_counted_over_the_time_that_can_be_judged() -> None:
    labels = truth(unjudged=[{"rule": RULE, "start": 0, "end": 4}])

    found = score(labels, replay(told=(Told(RULE, 8.0),)), 10.0).rules[0].false_alarms_per_day

    assert found is not None
    assert found.value == pytest.approx(86_400 / 6)


def test_a_scorecard_shows_what_somebody_should_look_at() -> None:
    labels = truth(episodes=[episode(1, 2)], unjudged=[{"rule": RULE, "start": 20, "end": 30}])
    told = (Told(RULE, 25.0, "dwell 3 s"), Told(RULE, 60.0, "dwell 4 s"))
    card = score(labels, replay(told=told), 10.0)

    assert list(unsettled(card)) == [
        "missed: rules/inside from 1.0 s to 2.0 s",
        "could not be judged: rules/inside at 25.0 s, dwell 3 s",
        "false alarm: rules/inside at 60.0 s, dwell 4 s",
    ]
    assert [row[:2] for row in rule_rows(card)] == [("rules/inside", "0 of 1"), ("rules/crossed", "0 of 0")]
    assert not list(count_rows(card))
    assert json.loads(json.dumps(as_json(card), allow_nan=False))["rules"][0]["detected"] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "JSON"),
        ('{"configuration": {"zone": 1}}', "zone"),
        ('{"configuration": {}, "episodes": [{"rule": "x", "start": 1, "due": 1, "end": 2}]}', "has no rule x"),
        ('{"configuration": {}, "frame_rate": 0, "frames": 3}', "frames"),
        (json.dumps({"configuration": SCENE, "episodes": [episode(5, 3)]}), "in this order"),
    ],
)
def test_labels_that_cannot_be_used_say_why(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(content)

    with pytest.raises(SourceError, match=words):
        Truth.read(path)


def test_labels_that_are_not_there_say_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        Truth.read(tmp_path / "none.json")
