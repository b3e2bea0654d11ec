"""Searches a local mesh for a van that stopped and left northwards: run it while `argo demo` runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from argo.alerting.v1.search_service_pb2 import SearchObservationsRequest
from argo.alerting.v1.search_service_pb2_grpc import SearchServiceStub

mesh = json.loads(Path(".argo/endpoints.json").read_text())
me = mesh["certificates"]["investigator/local"]
files = (mesh["certificates"]["authority"], me["key"], me["certificate"])
credentials = grpc.ssl_channel_credentials(*(Path(file).read_bytes() for file in files))

testimony = SearchObservationsRequest(
    purpose="robbery", case_reference="RGNR 1234/2026", reason="a witness saw the van", page_size=10
)
testimony.interval.start_time.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
testimony.interval.end_time.FromDatetime(datetime.now(UTC))
testimony.interval_tolerance.FromTimedelta(timedelta(minutes=10))
types = SearchObservationsRequest
testimony.vehicle.types.extend([types.VEHICLE_TYPE_CAR, types.VEHICLE_TYPE_TRUCK])
testimony.movement.heading_degrees = 0  # north
testimony.movement.minimum_stop.FromTimedelta(timedelta(seconds=20))

with grpc.secure_channel(mesh["grpc"]["alerting"], credentials) as channel:
    search = SearchServiceStub(channel)
    while True:
        page = search.SearchObservations(testimony)
        for match in page.matches:
            print(f"{match.plausibility:.2f} {match.optic} {match.interval.start_time.ToJsonString()}")
            print("    " + "\n    ".join(match.explanations))
        if not page.next_page_token:
            break
        testimony.page_token = page.next_page_token
print(f"{page.total_size} found, {len(page.blind_optics)} optics were blind for some of the time")
