"""What to do about an alarm, by the kind of rule: without a response it is only an event (EEMUA 191, ISA-18.2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_LOOK = "Look at the live view. "

SUGGESTED_RESPONSES: Mapping[str, str] = MappingProxyType(
    {
        "LineDetector/Crossed": _LOOK + "If somebody is where nobody may be, dispatch to the local police.",
        "FieldDetector/ObjectsInside": _LOOK + "If somebody is where nobody may be, dispatch to the local police.",
        "CountAggregation/OccupancyCounter": "Look at the other optics; ask the stewards to stop the inflow.",
        "LoiteringDetector/ObjectIsLoitering": _LOOK + "Waiting is no offence: close it unless somebody needs help.",
        "Argo/WrongWay": "Dispatch to the local police at once, with the direction; warn the traffic centre.",
        "Argo/StoppedVehicle": _LOOK + "If it blocks the lane, dispatch to the local police; tell the traffic centre.",
        "Argo/PedestrianOnCarriageway": _LOOK + "If somebody walks among moving traffic, dispatch to the local police.",
        "Argo/SlowTraffic": "Tell the traffic centre; look for what stands at the head of the queue.",
        "Argo/CrowdDensity": "Have the safety staff stop the inflow and open the exits; dispatch to the Questura.",
        "Argo/CrowdForming": _LOOK + "Tell the event's safety staff; keep it in view.",
        "Argo/Dispersal": "Look at every optic of the place; dispatch to the Questura; call for medical help.",
        "Argo/CounterFlow": "Tell the stewards at the gate; look for what people turn away from.",
        "Argo/RunningAgainstFlow": "Look at every optic of the place for what people run from.",
        "Argo/AbandonedObject": _LOOK + "Do not send anybody close; dispatch to the Questura if it stays.",
        "Argo/PersonDown": "Look at the live view at once; if somebody lies there, call for medical help and dispatch.",
        "Argo/SmokeOrFire": "Look at the live view at once; dispatch to the fire brigade.",
        "Argo/Flooding": "Dispatch to the fire brigade and the local police; tell the traffic centre.",
        "Argo/LostVisibility": "Look at the neighbouring optics; if the camera is at fault, tell maintenance.",
    }
)  # fmt: skip
"""By rule topic; to be tuned by each control room's own procedures."""

OTHERWISE = "Look at the live view, say whether it is true, and dispatch it if somebody must act on the spot."


def suggested_response(topic: str) -> str:
    """One or two sentences for whoever takes the alarm on."""
    return SUGGESTED_RESPONSES.get(topic, OTHERWISE)
