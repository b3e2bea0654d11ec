"""Large events: the contract's messages as domain values, and back."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from alerting import contracts
from alerting.domain.alerts import Priority
from alerting.domain.crowd_events.alarms import THRESHOLDS, Colour, Finding, Memory
from alerting.domain.crowd_events.measures import GateStatus, SectorStatus
from alerting.domain.crowd_events.plan import CrowdEvent, Gate, Inward, Sector, State
from alerting.domain.events import RuleEvent
from alerting.domain.flows.cells import Kind
from alerting.domain.flows.service_levels import Scale
from alerting.domain.retention import RETENTION
from alerting.domain.summary import Explanation
from alerting.domain.tokens import invalid
from alerting.flow_contracts import place_name
from argo.alerting.v1 import crowd_event_service_pb2 as v1
from argo.alerting.v1 import flow_service_pb2 as flows_v1
from argo.detector.v1 import bus_pb2
from argo.registry.v1 import scene_pb2
from argo.type.v1 import media_pb2, object_class_pb2

_NAMESPACE: Final = uuid.UUID("6b1f0a52-2f6f-4d3c-9d0e-5b7f3c1a4e21")
"""Of the ids of alarms' events: the same alarm has the same id, whichever replica tells it."""
_LARGEST_AREA: Final = 1e7
_MOST_PEOPLE: Final = 10_000_000
_MOST_MODULES: Final = 10_000


def crowd_event(
    message: v1.CrowdEvent, event_id: str, start_time: datetime, *, state: State = State.OPEN, version: int = 1
) -> CrowdEvent:
    """An event as somebody plans it.

    Raises:
        InvalidArgument: it cannot be watched.
    """
    event = CrowdEvent(
        event_id=event_id,
        display_name=contracts.text_of(message.display_name, "display_name", required=True),
        sectors=tuple(_sector(item) for item in message.sectors),
        start_time=start_time,
        state=state,
        version=version,
    )
    event.check()
    return event


def crowd_event_message(event: CrowdEvent) -> v1.CrowdEvent:
    """The same as the contract shows it, without the times of the record."""
    return v1.CrowdEvent(
        name=event.name,
        display_name=event.display_name,
        sectors=[_sector_message(sector) for sector in event.sectors],
        start_time=contracts.timestamp(event.start_time),
        state=v1.CrowdEvent.State.ValueType(event.state),
        etag=f"{event.version:x}",
    )


def sector_status_message(status: SectorStatus, colour: Colour, memory: Memory) -> v1.SectorStatus:
    """How a sector is, as the contract shows it."""
    message = v1.SectorStatus(
        sector=status.sector.sector_id,
        time=contracts.timestamp(status.time),
        method=v1.SectorStatus.Method.ValueType(status.method),
        capacity=status.capacity or 0,
        colour=v1.SectorStatus.Colour.ValueType(colour),
        trend_per_minute=status.trend,
        minutes_to_full=status.minutes_to_full,
        net_inflow_per_minute=status.net_inflow,
        peak_density=status.peak_density,
        level_of_service=flows_v1.LevelOfService.ValueType(status.level or 0),
        scale=scene_pb2.CrowdDensity.Scale.ValueType(status.sector.scale),
        gates=[_gate_message(gate) for gate in status.gates],
        exit_share=status.exit_share,
        blind_minutes=status.blind_minutes,
        alarms=sorted(kind.value for kind in memory.told),
    )
    if status.occupancy is not None:
        message.occupancy = status.occupancy.value
        message.occupancy_uncertainty = status.occupancy.uncertainty
    return message


def alarm(event: CrowdEvent, finding: Finding, site: str, display_name: str) -> RuleEvent:
    """An alarm on its way to the control room, by the same road as the events of rules.

    Args:
        event: that it is of.
        finding: what is to be told.
        site: ``sites/{site}`` of its place.
        display_name: what people call the place's sector.
    """
    status, threshold = finding.status, THRESHOLDS[finding.kind]
    sector = status.sector
    slug = finding.kind.value.rsplit("/", 1)[-1]
    rule = f"{event.name}/sectors/{sector.sector_id}/rules/{slug}"
    event_id = uuid.uuid5(_NAMESPACE, f"{rule}/{status.time.isoformat()}")
    optic = finding.place.rsplit("/", 2)[0]
    explanation = Explanation(
        topic=finding.kind.value,
        rule=rule,
        place=finding.place,
        optic=optic,
        classes=("people",),
        quantity=threshold.quantity,
        unit=threshold.unit,
        value=finding.value,
        threshold=threshold.told_at,
        rule_display_name=event.display_name,
        place_display_name=display_name,
    )
    return RuleEvent(
        event_id=event_id,
        live=True,
        priority=threshold.priority,
        optic=optic,
        site=site,
        capture_time=status.time,
        expire_time=status.time + RETENTION,
        explanation=explanation,
        payload=_payload(event_id, explanation, threshold.priority, site, status.time),
    )


def _payload(event_id: uuid.UUID, explanation: Explanation, priority: Priority, site: str, time: datetime) -> bytes:
    message = bus_pb2.Event(
        event_id=str(event_id),
        optic=explanation.optic,
        site=site,
        rule=explanation.rule,
        topic=explanation.topic,
        mode=scene_pb2.Rule.MODE_LIVE,
        priority=scene_pb2.Priority.ValueType(priority),
        capture_time=media_pb2.CaptureTime(time=contracts.timestamp(time), source=media_pb2.CaptureTime.SOURCE_ARRIVAL),
        start_time=contracts.timestamp(time),
        measurement=bus_pb2.Measurement(
            quantity=explanation.quantity,
            unit=explanation.unit,
            value=explanation.value,
            threshold=explanation.threshold,
        ),
        place=explanation.place,
        classes=[object_class_pb2.OBJECT_CLASS_PERSON],
        place_display_name=explanation.place_display_name,
        rule_display_name=explanation.rule_display_name,
    )
    return message.SerializeToString(deterministic=True)


def _sector(message: v1.Sector) -> Sector:
    zones = tuple(place_name(name, "sectors.zones") for name in message.zones)
    if any(Kind.of(zone) is not Kind.ZONE for zone in zones):
        raise invalid("sectors.zones", "holds a name that is not of a zone")
    if not 0.0 <= message.area_square_metres <= _LARGEST_AREA:
        raise invalid("sectors.area_square_metres", f"must lie between 0 and {_LARGEST_AREA:g}")
    if max(message.capacity, message.initial_occupancy) > _MOST_PEOPLE:
        raise invalid("sectors.capacity", f"must be at most {_MOST_PEOPLE}")
    return Sector(
        sector_id=contracts.identifier(f"sectors/{message.id}", "sectors"),
        display_name=contracts.text_of(message.display_name, "sectors.display_name"),
        zones=zones,
        gates=tuple(_gate(gate) for gate in message.gates),
        stated_capacity=message.capacity,
        stated_area=message.area_square_metres,
        scale=Scale.QUEUE if message.scale == scene_pb2.CrowdDensity.SCALE_QUEUE else Scale.WALKWAY,
        initial_occupancy=message.initial_occupancy,
    )


def _gate(message: v1.Gate) -> Gate:
    line = place_name(message.line, "sectors.gates.line")
    if Kind.of(line) is not Kind.LINE:
        raise invalid("sectors.gates.line", "is not the name of a line")
    if message.exit_modules > _MOST_MODULES:
        raise invalid("sectors.gates.exit_modules", f"must be at most {_MOST_MODULES}")
    try:
        inward = Inward(message.inward)
    except ValueError:
        raise invalid("sectors.gates.inward", "must be left to right, or right to left") from None
    return Gate(line, inward, message.exit_modules)


def _sector_message(sector: Sector) -> v1.Sector:
    return v1.Sector(
        id=sector.sector_id,
        display_name=sector.display_name,
        zones=sector.zones,
        gates=[
            v1.Gate(
                line=gate.line,
                inward=scene_pb2.LineCrossing.Direction.ValueType(gate.inward),
                exit_modules=gate.exit_modules,
            )
            for gate in sector.gates
        ],
        capacity=sector.stated_capacity,
        area_square_metres=sector.stated_area,
        scale=scene_pb2.CrowdDensity.Scale.ValueType(sector.scale),
        initial_occupancy=sector.initial_occupancy,
    )


def _gate_message(status: GateStatus) -> v1.GateStatus:
    modules = status.gate.exit_modules
    return v1.GateStatus(
        line=status.gate.line,
        inflow_per_minute=status.inflow,
        outflow_per_minute=status.outflow,
        counter_flow_share=status.counter_flow_share,
        outflow_per_module=status.outflow / modules if modules and status.outflow is not None else None,
        coverage=status.coverage,
    )
