"""Dispatches over signed webhooks to a real HTTPS server that fails in all usual ways."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web
from lxml import etree

from alerting import contracts
from alerting.assembly import Parts
from alerting.domain.alerts import Act, Assessment, Step
from alerting.domain.cap import NAMESPACE
from alerting.domain.dispatches import DeliveryState
from alerting.store.alerts import Request
from alerting.webhooks import AuthorityNetworks, read_webhooks
from mesh.authority import CertificateAuthority
from mesh.errors import StartupError
from mesh.postgres import Pool
from tests.integration.alerting import receiver as receiving
from tests.integration.alerting import support
from tests.integration.alerting.receiver import Misbehaviour, Receiver, secret_file
from tests.integration.alerting.support import batch, delivery, event

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
FORMER = f"whsec_{base64.b64encode(bytes(range(100, 140))).decode()}"
QUESTURA = "authorities/questura"


def parts_for(
    pool: Pool,
    authority: CertificateAuthority,
    folder: Path,
    url: str,
    form: str = "json",
    more: Mapping[str, object] | None = None,
    **values: object,
) -> Parts:
    defaults = {
        "webhooks": secret_file(folder / "webhooks.json", url, SECRET, form, more),
        "webhook_ca": authority.ca_file,
        "authority_networks": ("127.0.0.0/8",),
        "webhook_timeout_seconds": 0.5,
        **values,
    }
    return support.parts(pool, support.settings(authority, **defaults))


async def act(parts: Parts, alert_id: str, step: Step) -> None:
    await parts.desk.act(Request(alert_id, step, uuid.uuid4()), contracts.alert_bytes)


async def dispatched(parts: Parts) -> str:
    """An alert that an operator has sent to the Questura; its id."""
    message = event()
    await parts.consumers.take_events(batch(message), delivery())
    alert_id = f"a-{message.event_id}"
    await act(parts, alert_id, Step(Act.ACKNOWLEDGE, "operator/rossi"))
    await act(parts, alert_id, Step(Act.DISPATCH, "operator/rossi", "a note about Mario", recipient=QUESTURA))
    return alert_id


async def try_now(parts: Parts, pool: Pool) -> None:
    """An attempt, whenever the next one would be due."""
    await pool.execute("UPDATE dispatches SET next_attempt_time = now() - interval '1 second' WHERE state = 2")
    await parts.alarms.postman().once()


async def state_of(parts: Parts, alert_id: str) -> tuple[DeliveryState, int, str]:
    alert = await parts.alarms.store.get_alert(alert_id)
    assert alert is not None
    (found,) = alert.deliveries
    return DeliveryState(found.state), found.attempts, found.problem


def loses_the_answer(receiver: Receiver) -> Misbehaviour:
    async def handle(request: web.Request) -> web.StreamResponse:
        receiver.effects.setdefault(request.headers["webhook-id"], await request.read())
        return await receiving.hangs_up(request)

    return handle


@pytest.mark.parametrize(
    ("misbehaviour", "problem"),
    [
        (receiving.fails, "refused (HTTP 500)"),
        (receiving.is_busy, "refused (HTTP 429)"),
        (receiving.never_answers, "no answer in time"),
        (receiving.drips, "no answer in time"),
        (receiving.redirects, "redirected, not followed (HTTP 307)"),
        (receiving.hangs_up, "broken off (ServerDisconnectedError)"),
        (None, "broken off (ServerDisconnectedError)"),
    ],
    ids=["fails", "busy", "silent", "drips", "redirects", "hangs up", "takes it and hangs up"],
)
async def test_whatever_the_other_side_does_it_gets_the_dispatch_once_in_effect(
    pool: Pool, authority: CertificateAuthority, tmp_path: Path, misbehaviour: Misbehaviour | None, problem: str
) -> None:
    receiver = Receiver(SECRET)
    wrong = misbehaviour or loses_the_answer(receiver)
    async with receiving.serving(receiver, authority.issue("system/questura")):
        parts = parts_for(pool, authority, tmp_path, receiver.url)
        alert_id = await dispatched(parts)
        receiver.misbehaviours = [wrong, wrong]
        await try_now(parts, pool)
        assert await state_of(parts, alert_id) == (DeliveryState.PENDING, 1, problem)
        await try_now(parts, pool)
        await try_now(parts, pool)

    assert receiver.requests == 3
    assert await state_of(parts, alert_id) == (DeliveryState.DELIVERED, 3, "")
    (body,) = receiver.effects.values()
    (message_id,) = receiver.effects
    content = json.loads(body)
    assert content["name"] == f"dispatches/{message_id}"
    assert content["alert"]["name"] == f"alerts/{alert_id}"
    entries = await pool.fetch("SELECT act, to_whom FROM audit_entries WHERE what = $1", f"dispatches/{message_id}")
    assert [tuple(entry) for entry in entries] == [("disclosure", "authority/questura")]


async def test_a_wrong_certificate_gets_nothing(pool: Pool, authority: CertificateAuthority, tmp_path: Path) -> None:
    receiver, stranger = Receiver(SECRET), CertificateAuthority(tmp_path / "stranger")
    async with receiving.serving(receiver, stranger.issue("system/questura")):
        parts = parts_for(pool, authority, tmp_path, receiver.url)
        alert_id = await dispatched(parts)
        await try_now(parts, pool)

    assert await state_of(parts, alert_id) == (DeliveryState.PENDING, 1, "its certificate is not trusted")
    assert receiver.requests == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_outside_the_authorities_networks_is_dialled(
    pool: Pool, authority: CertificateAuthority, tmp_path: Path, host: str
) -> None:
    receiver = Receiver(SECRET)
    async with receiving.serving(receiver, authority.issue("system/questura")):
        url = receiver.url.replace("127.0.0.1", host)
        parts = parts_for(pool, authority, tmp_path, url, authority_networks=("10.20.0.0/16",))
        alert_id = await dispatched(parts)
        await try_now(parts, pool)

    state, attempts, problem = await state_of(parts, alert_id)
    assert (state, attempts) == (DeliveryState.PENDING, 1)
    assert problem in ("outside the authorities' networks", "cannot be reached")
    assert receiver.requests == 0
    assert not AuthorityNetworks(()).allows("127.0.0.1")


async def test_what_follows_waits_for_what_was_first_and_refers_to_it(
    pool: Pool, authority: CertificateAuthority, tmp_path: Path
) -> None:
    receiver = Receiver(SECRET)
    async with receiving.serving(receiver, authority.issue("system/questura")):
        parts = parts_for(pool, authority, tmp_path, receiver.url, form="cap")
        alert_id = await dispatched(parts)
        receiver.misbehaviours = [receiving.fails]
        await try_now(parts, pool)
        await act(parts, alert_id, Step(Act.VERIFY, "operator/rossi", "Mario waved", assessment=Assessment.FALSE))
        for _ in range(2):
            await try_now(parts, pool)

    first, cancel = [etree.fromstring(body) for body in receiver.effects.values()]
    kinds = [document.findtext(f"{{{NAMESPACE}}}msgType") for document in (first, cancel)]
    assert (kinds, receiver.requests) == (["Alert", "Cancel"], 3)
    reference = cancel.findtext(f"{{{NAMESPACE}}}references")
    assert reference.split(",")[1] == first.findtext(f"{{{NAMESPACE}}}identifier") == next(iter(receiver.effects))
    # No person is in it: neither who sent it nor what they wrote.
    assert not any(word in body for body in receiver.effects.values() for word in (b"rossi", b"Mario"))


async def test_it_is_given_up_in_the_end_and_the_authority_can_still_watch(
    pool: Pool, authority: CertificateAuthority, tmp_path: Path
) -> None:
    parts = parts_for(pool, authority, tmp_path, "https://127.0.0.1:1/", webhook_patience_seconds=0.001)
    alert_id = await dispatched(parts)
    await try_now(parts, pool)

    assert await state_of(parts, alert_id) == (DeliveryState.GIVEN_UP, 1, "cannot be reached")
    await try_now(parts, pool)
    assert (await state_of(parts, alert_id))[1] == 1


async def test_what_somebody_took_and_never_settled_is_tried_again_after_the_lease(
    pool: Pool, authority: CertificateAuthority, tmp_path: Path
) -> None:
    receiver = Receiver(SECRET)
    async with receiving.serving(receiver, authority.issue("system/questura")):
        parts = parts_for(pool, authority, tmp_path, receiver.url)
        alert_id = await dispatched(parts)
        # A replica that dies with it: it holds the claim, and says nothing more.
        await pool.execute("UPDATE dispatches SET attempts = 1, next_attempt_time = now() + interval '30 seconds'")
        assert await parts.alarms.postman().once() == 0
        await try_now(parts, pool)

    assert (await state_of(parts, alert_id))[0] is DeliveryState.DELIVERED
    assert len(receiver.effects) == 1


@pytest.mark.parametrize("knows", [SECRET, FORMER], ids=["the new secret", "the former one"])
async def test_while_a_secret_changes_a_recipient_may_know_either(
    pool: Pool, authority: CertificateAuthority, tmp_path: Path, knows: str
) -> None:
    receiver = Receiver(knows)
    async with receiving.serving(receiver, authority.issue("system/questura")):
        parts = parts_for(pool, authority, tmp_path, receiver.url, more={"former_secret": FORMER})
        alert_id = await dispatched(parts)
        await try_now(parts, pool)

    assert (await state_of(parts, alert_id))[0] is DeliveryState.DELIVERED
    assert len(receiver.effects) == 1


async def test_who_knows_neither_secret_believes_nothing(
    pool: Pool, authority: CertificateAuthority, tmp_path: Path
) -> None:
    receiver = Receiver(f"whsec_{base64.b64encode(bytes(32)).decode()}")
    async with receiving.serving(receiver, authority.issue("system/questura")):
        parts = parts_for(pool, authority, tmp_path, receiver.url, more={"former_secret": FORMER})
        alert_id = await dispatched(parts)
        await try_now(parts, pool)

    assert (await state_of(parts, alert_id))[0] is DeliveryState.PENDING
    assert receiver.effects == {}


async def test_an_authority_gets_its_own_code_of_the_event(
    pool: Pool, authority: CertificateAuthority, tmp_path: Path
) -> None:
    receiver = Receiver(SECRET)
    codes = {"list": {"FieldDetector/ObjectsInside": "S3"}, "of fires": {"Argo/SmokeOrFire": "F1"}}
    async with receiving.serving(receiver, authority.issue("system/questura")):
        parts = parts_for(pool, authority, tmp_path, receiver.url, form="cap", more={"event_codes": codes})
        await dispatched(parts)
        await try_now(parts, pool)

    (body,) = receiver.effects.values()
    found = etree.fromstring(body).findall(f".//{{{NAMESPACE}}}eventCode")
    assert [[element.text for element in code] for code in found] == [["list", "S3"]]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (
            f'{{"questura": {{"url": "https://q/", "secret": "{SECRET}", "former_secret": "whsec_c2hvcnQ="}}}}',
            "24 to 64",
        ),
        ("{", "Invalid JSON"),
        (f'{{"questura": {{"url": "http://10.0.0.1/", "secret": "{SECRET}"}}}}', "https"),
        ('{"questura": {"url": "https://10.0.0.1/", "secret": "whsec_c2hvcnQ="}}', "24 to 64 bytes"),
        (f'{{"press": {{"url": "https://10.0.0.1/", "secret": "{SECRET}"}}}}', "press"),
    ],
)
def test_a_wrong_file_of_webhooks_is_told_without_its_secrets(tmp_path: Path, content: str, word: str) -> None:
    path = tmp_path / "webhooks.json"
    path.write_text(content)
    with pytest.raises(StartupError) as caught:
        read_webhooks(path, ("questura",))

    assert word in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)
