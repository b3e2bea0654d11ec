"""Opens an event for one zone of a local mesh and follows it: run it while `argo demo` runs, with a zone's name."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import grpc

from argo.alerting.v1 import crowd_event_service_pb2 as v1
from argo.alerting.v1.crowd_event_service_pb2_grpc import CrowdEventServiceStub

mesh = json.loads(Path(".argo/endpoints.json").read_text())
me = mesh["certificates"]["supervisor/second"]
files = (mesh["certificates"]["authority"], me["key"], me["certificate"])
credentials = grpc.ssl_channel_credentials(*(Path(file).read_bytes() for file in files))
square = v1.Sector(id="square", display_name="Square", zones=[sys.argv[1]], capacity=20)
event = v1.CrowdEvent(display_name="Market day", sectors=[square])
with grpc.secure_channel(mesh["grpc"]["alerting"], credentials) as channel:
    stub = CrowdEventServiceStub(channel)
    request = v1.CreateCrowdEventRequest(crowd_event_id="market-day", crowd_event=event, reason="order 12 of the mayor")
    name = stub.CreateCrowdEvent(request).name
    for state in stub.WatchCrowdEvent(v1.WatchCrowdEventRequest(name=name, reason="control room")):
        for sector in state.sectors:
            colour = v1.SectorStatus.Colour.Name(sector.colour).removeprefix("COLOUR_").lower()
            print(sector.sector, f"{sector.occupancy:.0f} of {sector.capacity}", colour, flush=True)
