from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from camera_gateway import pipeline
from camera_gateway.decoding import VideoDecoder
from camera_gateway.domain.clock import CaptureTime, Stamp, TimeSource
from camera_gateway.domain.crop import WHOLE
from camera_gateway.domain.liveness import Reason
from camera_gateway.domain.sight import Change
from camera_gateway.pipeline import CodedPicture, DecodePipeline
from camera_gateway.sources import Picture, SourceError
from camera_gateway.views import Samplers, Views
from tests.unit.camera_gateway.pictures import coded, view, views_of


class Heard:
    """A listener that counts."""

    def __init__(self) -> None:
        self.received = self.broken = self.skipped = 0
        self.dropped: dict[str, int] = {}
        self.held_back: dict[str, int] = {}
        self.pictures: list[Picture] = []

    def on_connected(self) -> None: ...

    def on_received(self, pictures: int, width: int, height: int) -> None:
        self.received += pictures

    def on_broken(self, units: int) -> None:
        self.broken += units

    def on_picture(self, optic: str, picture: Picture) -> None:
        self.pictures.append(picture)

    def on_held_back(self, optic: str, reason: str, count: int) -> None:
        self.held_back[reason] = self.held_back.get(reason, 0) + count

    def on_sight(self, optic: str, changes: list[Change]) -> None: ...

    def on_skipped(self, units: int) -> None:
        self.skipped += units

    def on_dropped(self, reason: str, count: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def on_left_out(self, kind: str) -> None: ...

    def on_lost(self, packets: int) -> None: ...

    def on_clock(self, drift: float) -> None: ...


def unit_at(number: int, data: bytes, *, damaged: bool = False, media: float | None = None) -> CodedPicture:
    place = number / 10 if media is None else media
    stamp = Stamp(0, place, CaptureTime(place, 0.1, TimeSource.ARRIVAL))
    return CodedPicture(data, stamp, number / 10, key=number % 5 == 0, damaged=damaged)


async def heard_of(units: list[CodedPicture], *, now: float = 0.0) -> Heard:
    """What a listener hears of ``units`` at ``now``, until all are accounted for or the session is given up."""
    heard, views = Heard(), Views()
    views.put("one", view("one", rate=100.0, width=64))
    with ThreadPoolExecutor(1) as pool:
        decoding = DecodePipeline(VideoDecoder("h264"), views, pool, heard, clock=lambda: now)
        running = asyncio.create_task(decoding.run())
        for unit in units:
            decoding.put(unit)
        while not running.done() and heard.received + heard.broken + heard.skipped + sum(heard.dropped.values()) < len(
            units
        ):
            await asyncio.sleep(0.001)
        running.cancel()
        done = await asyncio.gather(running, return_exceptions=True)
    if isinstance(done[0], SourceError):
        raise done[0]
    return heard


async def test_a_broken_picture_costs_itself_and_not_the_session() -> None:
    units = [unit_at(number, data, damaged=number == 7) for number, data in enumerate(coded(30))]
    units[12] = unit_at(12, b"\x00\x00\x00\x01\xff garbage")

    heard = await heard_of(units)

    assert (heard.received, heard.broken) == (28, 2)


async def test_pictures_from_the_past_are_counted_and_dropped() -> None:
    units = [unit_at(number, data, media=0.35 if number == 9 else None) for number, data in enumerate(coded(20))]

    heard = await heard_of(units)

    assert heard.dropped == {"out_of_order": 1}
    assert heard.received == 19


async def test_where_a_heartbeat_is_wanted_only_key_pictures_are_decoded() -> None:
    pictures = coded(30) * 10
    units = [unit_at(number, data) for number, data in enumerate(pictures)]
    views = Views()
    views.put("one", view("one", rate=0.5, width=64))
    heard = Heard()
    with ThreadPoolExecutor(1) as pool:
        decoding = DecodePipeline(VideoDecoder("h264"), views, pool, heard, clock=lambda: 0.0)
        running = asyncio.create_task(decoding.run())
        for count, unit in enumerate(units, 1):
            decoding.put(unit)
            while heard.received + heard.skipped + heard.broken < count:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    # The first ten seconds are decoded whole; of the other twenty one picture in five.
    assert heard.received == 100 + 40
    assert heard.skipped == 160
    assert heard.broken == 0


async def test_a_session_in_which_nothing_decodes_is_given_up() -> None:
    with pytest.raises(SourceError) as caught:
        await heard_of([unit_at(number * 5, b"\x00\x00\x00\x01\xff") for number in range(40)])

    assert caught.value.reason is Reason.DECODE_ERRORS


@pytest.mark.parametrize("where", ["thread", "loop"])
async def test_an_error_of_ours_ends_the_session_wherever_it_is_raised(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object) -> None:
        raise ZeroDivisionError

    if where == "thread":
        monkeypatch.setattr(Samplers, "sample", raising)
    else:
        monkeypatch.setattr(Heard, "on_received", raising)
    heard, views = Heard(), views_of(one=WHOLE)
    with ThreadPoolExecutor(1) as pool:
        decoding = DecodePipeline(VideoDecoder("h264"), views, pool, heard, clock=lambda: 0.0)
        for number, data in enumerate(coded(3)):
            decoding.put(unit_at(number, data))
        with pytest.raises(ZeroDivisionError):
            await decoding.run()


async def test_a_decoder_that_falls_behind_goes_on_at_a_key_picture() -> None:
    units = [unit_at(number, data) for number, data in enumerate(coded(30))]

    heard = await heard_of(units, now=2.3)

    # What came before 1.55 is too late, and 16 to 19 refer to it; 20 is the next key picture.
    assert heard.dropped == {"decoder_behind": 20}
    assert (heard.received, heard.broken) == (10, 0)


async def test_of_what_waited_the_newest_is_handed_over_and_the_rest_is_counted() -> None:
    units = [unit_at(number, data) for number, data in enumerate(coded(20))]

    heard = await heard_of(units)

    arrivals = [picture.arrival for picture in heard.pictures]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == units[-1].arrival
    # One of each turn; a turn is as long as its processor time allows.
    assert 2 <= len(arrivals) < 20
    assert heard.held_back == {"superseded": 20 - len(arrivals)}
    assert heard.received == 20


class Feeding(Heard):
    """A camera whose next picture comes just when it hears of the last one."""

    def __init__(self, pipeline: list[DecodePipeline], units: list[CodedPicture]) -> None:
        super().__init__()
        self._pipeline, self._units = pipeline, units

    def on_received(self, pictures: int, width: int, height: int) -> None:
        super().on_received(pictures, width, height)
        if self._units:
            self._pipeline[0].put(self._units.pop(0))


async def test_what_comes_while_pictures_are_handed_over_waits_behind_what_was_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "TURN_SECONDS", 0.0)
    units = [unit_at(number, data) for number, data in enumerate(coded(30))]
    line: list[DecodePipeline] = []
    heard, views = Feeding(line, units[10:]), Views()
    views.put("one", view("one", rate=100.0, width=64))
    with ThreadPoolExecutor(1) as pool:
        line.append(DecodePipeline(VideoDecoder("h264"), views, pool, heard, clock=lambda: 0.0))
        for unit in units[:10]:
            line[0].put(unit)
        running = asyncio.create_task(line[0].run())
        while heard.received + heard.broken + sum(heard.dropped.values()) < 30:
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert [picture.arrival for picture in heard.pictures] == [unit.arrival for unit in units]
    assert heard.dropped == {}
