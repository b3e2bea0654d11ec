"""Fleets as files: what goes out comes back, and what is wrong is told at its place."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.type import latlng_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from argo.registry.v1 import fleet_service_pb2, scene_pb2, site_pb2
from argo.type.v1 import geometry_pb2
from registry.onboarding import geojson, spreadsheet
from registry.onboarding.columns import COLUMNS
from registry.onboarding.files import MAXIMUM_BYTES, FileError, FleetFile, decode
from registry.onboarding.planning import says_the_same
from registry.onboarding.report import Response, print_problems
from registry.onboarding.turin import turin_fleet
from registry.resources import RESOURCES

Record = fleet_service_pb2.FleetRecord
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
FORMATS = {"csv": spreadsheet, "geojson": geojson}

# What people write, and what makes trouble: quotes, both delimiters, formulas, apostrophes, blanks, all of Unicode.
texts = st.one_of(
    st.sampled_from(["", "=1+1", "'=1", "''@x", "'plain", "-5", "+39 011", "@SUM(A1)", 'a;b,c"d', " è ", "＝1", "'"]),  # noqa: RUF001
    st.text(" ", max_size=2),
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20),
)
degrees = st.floats(0, 359.99, allow_nan=False)
fractions = st.floats(0, 1, allow_nan=False)
ids = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
times = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1))  # noqa: DTZ001 - made aware by the message


def points(count: int) -> st.SearchStrategy[list[geometry_pb2.Point]]:
    one = st.builds(geometry_pb2.Point, x=fractions, y=fractions)
    return st.lists(one, min_size=count, max_size=count)


def values(enum: Any) -> st.SearchStrategy[int]:
    return st.sampled_from(enum.values())


policies = st.builds(
    scene_pb2.Policy,
    analysed_frame_rate=st.floats(0, 60),
    analysis_width=st.integers(0, 7680),
    retention=st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(days=7))),
    maximum_viewers=st.integers(0, 100),
    recording=values(scene_pb2.Policy.Recording),
    masking_style=values(scene_pb2.Policy.MaskingStyle),
    viewers=st.lists(st.sampled_from(["operator", "supervisor"]), max_size=2),
    priority=values(scene_pb2.Priority),
)
masks = st.builds(scene_pb2.PrivacyMask, polygon=st.builds(geometry_pb2.Polygon, points=points(3)), reason=texts)
bases = st.builds(
    site_pb2.LegalBasis, purpose=values(site_pb2.LegalBasis.Purpose), dpia_reference=texts, sign_reference=texts,
    dpia_time=st.one_of(st.none(), times), act=texts, regime=values(site_pb2.LegalBasis.Regime),
)  # fmt: skip


def named(kind: str, name: str, **fields: Any) -> st.SearchStrategy[Record]:
    message = st.builds(RESOURCES[kind].message, name=st.just(name), **fields)

    def wrapped(record: Any) -> Record:
        return Record(**{kind: record})

    return message.map(wrapped)


@st.composite
def fleets(draw: st.DrawFn) -> list[Record]:
    """Sites, and devices at some of them or mobile, each with optics and stays."""
    sites = sorted(draw(st.sets(ids, min_size=1, max_size=3)))
    records = [draw(_site(name)) for name in sites]
    for name in sorted(draw(st.sets(ids, max_size=3))):
        mobile = draw(st.booleans())
        where = "" if mobile else f"sites/{draw(st.sampled_from(sites))}"
        records.append(draw(_device(name, where, mobile=mobile)))
        records += [draw(_optic(name, optic)) for optic in sorted(draw(st.sets(ids, max_size=3)))]
        if mobile:
            records += [draw(_stay(name, stay, sites)) for stay in sorted(draw(st.sets(ids, max_size=3)))]
    return records


def _site(name: str) -> st.SearchStrategy[Record]:
    location = st.builds(latlng_pb2.LatLng, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180))
    filled = texts.filter(str.strip)
    return named(
        "site", f"sites/{name}", display_name=filled, address=texts, location=location, district=texts, lot=texts
    )


def _device(name: str, where: str, *, mobile: bool) -> st.SearchStrategy[Record]:
    kind = site_pb2.Device.MOBILITY_MOBILE if mobile else site_pb2.Device.MOBILITY_FIXED
    return named(
        "device", f"devices/{name}", site=st.just(where), display_name=texts, model=texts, firmware_version=texts,
        address=st.ip_addresses().map(str), view=values(site_pb2.Device.View), mobility=st.just(kind),
        legal_basis=st.one_of(st.none(), bases), transport=values(site_pb2.Device.Transport),
    )  # fmt: skip


def _optic(device: str, name: str) -> st.SearchStrategy[Record]:
    pair = st.builds(
        scene_pb2.CalibrationPoint,
        image=st.builds(geometry_pb2.Point, x=fractions, y=fractions),
        ground=st.builds(geometry_pb2.GroundPoint, east_metres=st.floats(-99, 99), north_metres=st.floats(-99, 99)),
    )
    return named(
        "optic", f"devices/{device}/optics/{name}", display_name=texts, ingest=values(site_pb2.Optic.Ingest),
        main_stream_path=st.just("/Streaming/Channels/101"), mount_height_metres=st.floats(0, 30),
        heading_degrees=degrees,
        policy=st.one_of(st.none(), policies), privacy_masks=st.lists(masks, max_size=2),
        calibration_points=st.one_of(st.just([]), st.lists(pair, min_size=4, max_size=4)),
    )  # fmt: skip


def _stay(device: str, name: str, sites: list[str]) -> st.SearchStrategy[Record]:
    return named(
        "deployment", f"devices/{device}/deployments/{name}", site=st.sampled_from([f"sites/{site}" for site in sites]),
        decision=texts.filter(str.strip), reason=texts, decision_time=times, start_time=times, end_time=times,
    )  # fmt: skip


def by_name(records: Iterable[Record]) -> dict[str, Any]:
    inner = [getattr(record, str(record.WhichOneof("record"))) for record in records]
    return {record.name: record for record in inner}


@pytest.mark.parametrize("form", FORMATS)
@given(fleet=fleets())
@settings(max_examples=120, deadline=None)
def test_a_fleet_comes_back_as_it_went_out(form: str, fleet: list[Record]) -> None:
    file = FORMATS[form].read(FORMATS[form].write(fleet))

    assert file.problems == []
    before, after = by_name(fleet), by_name(row.record for row in file.rows)
    assert before.keys() == after.keys()
    for name, record in before.items():
        kind = name.split("/")[-2].removesuffix("s")
        assert says_the_same(RESOURCES[kind], record, after[name]), (record, after[name])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("devices", [1, 10, 257])
def test_the_fleet_of_turin_comes_back_exactly(form: str, devices: int) -> None:
    fleet = turin_fleet(5, now=NOW, devices=devices)

    file = FORMATS[form].read(FORMATS[form].write(fleet))

    assert by_name(row.record for row in file.rows) == by_name(fleet)


def test_no_cell_of_an_export_is_a_formula() -> None:
    fleet = turin_fleet(0, now=NOW, devices=2)
    site = next(record.site for record in fleet if record.HasField("site"))
    site.owner, site.lot = '=HYPERLINK("http://x")', "@SUM(1)"

    rows = list(csv.reader(spreadsheet.write(fleet).splitlines()))

    assert {cell for row in rows for cell in row if cell[:1] in "=@+" and cell} == set()
    assert '\'=HYPERLINK("http://x")' in rows[1]


# ---- spreadsheets as people make them ------------------------------------------------------------------------------

HEAD = "site,site_display_name,site_location_latitude,site_location_longitude"


def read_csv(text: str) -> FleetFile:
    return spreadsheet.read(decode(text.encode()))


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}\nalimonda,Giardini,45.07,7.69\n",
        f"\ufeff{HEAD}\r\nalimonda,Giardini,45.07,7.69\r\n",
        f"{HEAD.replace(',', ';')}\nalimonda;Giardini;45,07;7,69\n",
        f"{HEAD.replace(',', chr(9)).upper()}\nalimonda\tGiardini\t45.07\t7.69\n\n;;;\n".replace(";;;\n", ""),
        f'{HEAD}\n alimonda ,"Giardini","45,07","7.69"\n,,,\n',
    ],
)
def test_spreadsheets_of_several_makers_are_read(text: str) -> None:
    file = read_csv(text)

    assert file.problems == []
    assert [(row.source, row.record.site.display_name) for row in file.rows] == [("line 2", "Giardini")]
    assert (file.rows[0].record.site.location.latitude, file.rows[0].record.site.location.longitude) == (45.07, 7.69)


def test_a_record_that_is_only_named_is_not_a_row() -> None:
    file = read_csv("site,device,device_view,device_mobility\nalimonda,palo-1,hybrid,fixed\n")

    assert [row.record.WhichOneof("record") for row in file.rows] == ["device"]
    assert file.rows[0].record.device.site == "sites/alimonda"


@pytest.mark.parametrize(
    ("title", "cell", "words"),
    [
        ("site_location_latitude", "1.234,5", "must be a number"),
        ("site_location_latitude", "nan", "must be a number"),
        ("site_location_latitude", "1e999", "must be a number"),
        ("device_view", "sideways", "context, observation, hybrid"),
        ("device_legal_basis_dpia_time", "12/03/2026", "a day, such as 2026-11-22"),
        ("device_legal_basis_dpia_time", "2026-03-12T10:00:00", "with its offset"),
        ("optic_policy_retention", "a week", "7d, 12h or 3600s"),
        ("optic_policy_analysis_width", "-5", "whole number"),
        ("optic_privacy_masks", "[{}", "must be JSON"),
        ("optic_privacy_masks", '[{"polygone": 1}]', "must be JSON"),
        ("optic_crop", "[" * 5000, "must be JSON"),
    ],
)
def test_a_wrong_cell_is_told_at_its_place(title: str, cell: str, words: str) -> None:
    kind = title.partition("_")[0]
    output = [f"device,{kind},{title}" if kind != "device" else f"device,{title}"]
    quoted = '"' + cell.replace('"', '""') + '"'
    output.append(f"palo-1,x,{quoted}" if kind != "device" else f"palo-1,{quoted}")

    file = read_csv("\n".join(output))

    assert [(problem.source, problem.field) for problem in file.problems] == [("line 2", title)]
    assert words in file.problems[0].description
    assert file.rows == []


def test_all_wrong_cells_of_a_line_and_contradictions_are_told() -> None:
    file = read_csv(
        "device,optic,device_view,device_mobility,optic_heading_degrees\n"
        "palo-1,a,up,down,north\npalo-2,a,hybrid,fixed,1\npalo-2,b,context,fixed,2\n,c,,,3\n,,,,4\n"
    )

    assert [(problem.source, problem.field) for problem in file.problems] == [
        ("line 2", "device_view"), ("line 2", "device_mobility"), ("line 2", "optic_heading_degrees"),
        ("line 4", "device_view"), ("line 5", "device"), ("line 6", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEAD.encode("utf-16"), "is UTF-16"),
        (f"{HEAD}\nx,Citt\xe0,45,7\n".encode("latin-1"), "line 2 holds the byte 0xE0"),
        (f"{HEAD}\nx,a\0b,45,7\n".encode(), "line 2 holds a NUL"),
        (b"x" * (MAXIMUM_BYTES + 1), "larger than 32 MiB"),
        (b"", "first line must hold the titles"),
        (b"\x89PNG\r\n", "not UTF-8"),
        (b"nome,indirizzo\n1,2\n", "first line must hold the titles"),
        (b"site,site_display_nam\nx,y\n", "is site_display_name meant?"),
        (b"site,site\nx,y\n", "stand twice: site"),
        (b'site\n"x', "line 2 is not valid CSV"),
        (b"site\n" + b"x" * 140_000, "line 2 is not valid CSV: field larger"),
        (b"site,site_lot\n" + b"x,1\n" * 10_001, "more than 10000 lines"),
        (b"site,site_lot\n" + b"\n".join(b"x%d,1" % number for number in range(1_000_000)), "more than 10000"),
    ],
)
def test_a_file_that_is_no_spreadsheet_of_a_fleet(content: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words):
        spreadsheet.read(decode(content))


def test_a_line_with_too_many_cells_is_a_problem_of_its_own() -> None:
    file = read_csv("site,site_lot\nx,3\ny,3,4\n")

    assert [problem.source for problem in file.problems] == ["line 3"]
    assert len(file.rows) == 1


# ---- GeoJSON -------------------------------------------------------------------------------------------------------


def collection(**feature: Any) -> str:
    one = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [7.69, 45.07]}, "properties": {}} | feature
    return json.dumps({"type": "FeatureCollection", "features": [one]})


@pytest.mark.parametrize(
    ("feature", "field", "words"),
    [
        ({"geometry": {"type": "Polygon", "coordinates": []}}, "geometry", "must be a Point, not Polygon"),
        ({"geometry": {"type": "Point", "coordinates": [7.69]}}, "geometry", "longitude, latitude"),
        ({"geometry": {"type": "Point", "coordinates": ["7", "45"]}}, "geometry", "longitude, latitude"),
        ({"geometry": 5}, "geometry", "must be a Point"),
        ({"geometry": None, "properties": {"name": "sites/x"}}, "geometry", "must be a Point"),
        ({"properties": None}, "properties", "must be an object"),
        ({"properties": {"nome": "x"}}, "", "no site of the contract"),
        ({"properties": {"name": "sites/x", "devices": {}}}, "devices", "must be an array"),
        ({"type": "Site"}, "type", "must be a Feature"),
    ],
)
def test_a_wrong_feature_is_told_at_its_place(feature: dict[str, Any], field: str, words: str) -> None:
    file = geojson.read(collection(**feature))

    assert [(problem.source, problem.field) for problem in file.problems] == [("feature 1", field)]
    assert words in file.problems[0].description


def test_a_wrong_device_is_told_at_its_place() -> None:
    devices = [{"name": "devices/a", "optics": [{"name": "x", "heading_degrees": "north"}]}, {"view": "SIDEWAYS"}, 7]

    file = geojson.read(collection(properties={"name": "sites/x", "devices": devices}))

    assert [problem.source for problem in file.problems] == [
        "feature 1, devices 1, optics 1", "feature 1, devices 2", "feature 1, devices 3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "FeatureCollection"),
        ('{"type": "Feature"}', "FeatureCollection"),
        ('{"type": "FeatureCollection", "features": 5}', "must be arrays"),
        ('{"type": "FeatureCollection", "features": [NaN]}', "NaN is no number"),
        ('{"type": "FeatureCollection", "features": [], "crs": {"properties": {"name": "EPSG:3003"}}}', "WGS 84"),
    ],
)
def test_a_file_that_is_no_geojson_of_a_fleet(text: str, words: str) -> None:
    with pytest.raises(FileError, match=words):
        geojson.read(text)


def test_too_many_records_are_refused() -> None:
    sites = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [7, 45]},
            "properties": {"name": f"sites/x{n}"},
        }
        for n in range(10_001)
    ]
    with pytest.raises(FileError, match="more than 10000 records"):
        geojson.read(json.dumps({"type": "FeatureCollection", "features": sites}))


@pytest.mark.parametrize("read", [spreadsheet.read, geojson.read])
@given(text=st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_whatever_a_file_holds_it_is_read_or_refused(read: Callable[[str], FleetFile], text: str) -> None:
    try:
        read(text)
    except FileError:
        return


def test_what_a_file_or_a_camera_says_has_no_effect_on_the_terminal() -> None:
    output = io.StringIO()
    problem = Response.Problem(source="line 2", name="sites/\x1b]0;x\x07[red]x[/red]", description="must\x1b[2J be")

    print_problems(Console(file=output, width=120), [problem])

    assert "\x1b" not in output.getvalue()
    assert "[red]x[/red]" in output.getvalue()


# ---- documentation -------------------------------------------------------------------------------------------------


def test_the_documentation_names_every_column() -> None:
    text = (Path(__file__).parents[3] / "docs" / "onboarding.md").read_text(encoding="utf-8")

    assert [title for title in COLUMNS if f"`{title}`" not in text] == []
