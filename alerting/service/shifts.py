from __future__ import annotations

from typing import Any

from alerting import contracts
from alerting.domain import tokens
from alerting.domain.shifts import Shift
from alerting.duty import Duty
from argo.alerting.v1 import shift_service_pb2 as v1
from argo.alerting.v1 import shift_service_pb2_grpc as v1_grpc
from mesh.identity import current_identity

_LONGEST_WATCH_LIST = 20


class ShiftServicer(v1_grpc.ShiftServiceServicer):
    """``argo.alerting.v1.ShiftService``."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty

    async def OpenShift(self, request: v1.OpenShiftRequest, _context: Any) -> v1.Shift:  # noqa: N802 - the contract's name
        """See the contract."""
        request_id = contracts.request_id(request.request_id)
        return shift_message(await self._duty.open(_caller(), _watch_list(request.watch_list), request_id))

    async def JoinShift(self, request: v1.JoinShiftRequest, _context: Any) -> v1.Shift:  # noqa: N802 - the contract's name
        """See the contract."""
        return shift_message(await self._duty.join(contracts.identifier(request.name, "shifts"), _caller()))

    async def SetWatchList(self, request: v1.SetWatchListRequest, _context: Any) -> v1.Shift:  # noqa: N802 - the contract's name
        """See the contract."""
        watch_list = _watch_list(request.watch_list)
        if not watch_list:
            raise tokens.invalid("watch_list", "is required: somebody must be called")
        shift_id = contracts.identifier(request.name, "shifts")
        return shift_message(await self._duty.set_watch_list(shift_id, watch_list))

    async def HandOverShift(self, request: v1.HandOverShiftRequest, _context: Any) -> v1.HandOverShiftResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        shift_id, owner = contracts.identifier(request.name, "shifts"), contracts.person(request.owner, "owner")
        alerts = await self._duty.hand_over(shift_id, _caller(), owner, _note(request.note))
        return v1.HandOverShiftResponse(alerts=[alert.name for alert in alerts])

    async def CloseShift(self, request: v1.CloseShiftRequest, _context: Any) -> v1.Shift:  # noqa: N802 - the contract's name
        """See the contract."""
        shift_id = contracts.identifier(request.name, "shifts")
        return shift_message(await self._duty.close(shift_id, _caller(), _note(request.note)))

    async def ListShifts(self, request: v1.ListShiftsRequest, _context: Any) -> v1.ListShiftsResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        shifts = await self._duty.list_shifts(tokens.page_size(request.page_size))
        return v1.ListShiftsResponse(shifts=[shift_message(shift) for shift in shifts])


def shift_message(shift: Shift) -> v1.Shift:
    """A shift as the contract shows it."""
    message = v1.Shift(
        name=shift.name,
        members=shift.members,
        watch_list=shift.watch_list,
        open_time=contracts.timestamp(shift.open_time),
        closed_by=shift.closed_by,
        note=shift.note,
    )
    if shift.close_time is not None:
        message.close_time.FromDatetime(shift.close_time)
    return message


def _caller() -> str:
    return current_identity().path


def _note(text: str) -> str:
    return contracts.text_of(text, "note", required=True)


def _watch_list(paths: Any) -> tuple[str, ...]:
    people = tuple(contracts.person(path, "watch_list") for path in paths)
    if len(people) > _LONGEST_WATCH_LIST or len(set(people)) != len(people):
        raise tokens.invalid("watch_list", f"must hold at most {_LONGEST_WATCH_LIST} people, each once")
    return people
