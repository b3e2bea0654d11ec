"""The documents of counts against the schemas that their standards publish: ``python -m bench.export_schemas``.

The tests hold them against the profiles in docs/schemas, since the published ones are not ours to keep here. Whoever
changes a document fetches those once and runs this:

    --datex2 FOLDER             the XSDs of DATEX II 3.7, with DATEXII_3_D2Payload.xsd
    --smart-data-models FOLDER  common-schema.json, CrowdFlowObserved.json and TrafficFlowObserved.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
from lxml import etree
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from alerting.domain.flows.cells import Category
from alerting.domain.flows.exports import datex2, ngsi_ld
from alerting.domain.flows.exports.observations import Observation
from alerting.domain.flows.places import Site

COMMON = "https://smart-data-models.github.io/data-models/common-schema.json"
_OPTIC = "devices/statuto/optics/north"


def observations() -> list[Observation]:
    """One of every kind of figure."""
    line = Site(f"{_OPTIC}/lines/gate", _OPTIC, "sites/statuto", "Corso Francia", "Piazza Statuto", 45.0762, 7.6693)
    zone = Site(f"{_OPTIC}/zones/square", _OPTIC, "sites/statuto", "Square", "Piazza Statuto", 45.0762, 7.6693)
    when, length = datetime(2026, 6, 3, 12, tzinfo=UTC), timedelta(minutes=5)
    cars = Observation(
        line, Category.MOTOR_VEHICLES, when, length, 85, 12, 0.95, 9.2, None, left_to_right=45, right_to_left=35
    )
    walkers = Observation(
        line, Category.PEDESTRIANS, when, length, 105, 6, 0.95, 1.3, None, left_to_right=55, right_to_left=45
    )
    bicycles = Observation(line, Category.BICYCLES, when, length, 15, 6, 0.95)
    return [cars, walkers, bicycles, Observation(zone, Category.PEDESTRIANS, when, length, 25, 6, 0.95, density=1.4)]


def against_datex2(folder: Path) -> Iterable[str]:
    """What is wrong with the DATEX II documents."""
    schema = etree.XMLSchema(etree.parse(str(folder / "DATEXII_3_D2Payload.xsd")))
    told, now = observations(), datetime(2026, 6, 3, 12, 6, tzinfo=UTC)
    for document in (
        datex2.measured_data(told, creator="Torino", published=now),
        datex2.measurement_sites([item.site for item in told], creator="Torino", published=now),
    ):
        schema.validate(etree.fromstring(document))
        yield from (f"DATEX II, line {error.line}: {error.message}" for error in schema.error_log)


def against_smart_data_models(folder: Path) -> Iterable[str]:
    """What is wrong with the NGSI-LD entities."""
    common = Resource.from_contents(json.loads((folder / "common-schema.json").read_text()), DRAFT202012)
    registry = Registry().with_resource(COMMON, common)
    for entity in ngsi_ld.entities(observations()):
        schema = json.loads((folder / f"{entity['type']}.json").read_text())
        validator = jsonschema.Draft202012Validator(
            schema, registry=registry, format_checker=jsonschema.FormatChecker()
        )
        yield from (f"{entity['id']}: {error.message}" for error in validator.iter_errors(entity))


def main() -> int:
    """The exit status is 1 when a document is not valid."""
    parser = argparse.ArgumentParser(prog="bench.export_schemas", description=__doc__)
    parser.add_argument("--datex2", type=Path)
    parser.add_argument("--smart-data-models", type=Path)
    options = parser.parse_args()
    problems: list[str] = []
    if options.datex2 is not None:
        problems += against_datex2(options.datex2)
    if options.smart_data_models is not None:
        problems += against_smart_data_models(options.smart_data_models)
    for problem in problems:
        print(problem)
    print("valid" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
