"""Follows the alerts of a local mesh, as another city system would: run it while `argo demo` runs."""

from __future__ import annotations

import json
from pathlib import Path

import grpc

from argo.alerting.v1.alert_service_pb2 import WatchAlertsRequest
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub

mesh = json.loads(Path(".argo/endpoints.json").read_text())
me = mesh["certificates"]["operator/local"]
files = (mesh["certificates"]["authority"], me["key"], me["certificate"])
credentials = grpc.ssl_channel_credentials(*(Path(file).read_bytes() for file in files))
with grpc.secure_channel(mesh["grpc"]["alerting"], credentials) as channel:
    for change in AlertServiceStub(channel).WatchAlerts(WatchAlertsRequest(reason="control-room watch")):
        if change.HasField("updated"):
            print(change.updated.name, change.updated.summary, flush=True)
