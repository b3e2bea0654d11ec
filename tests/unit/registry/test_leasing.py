from __future__ import annotations

import dataclasses
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from registry.domain.leasing import Gateway, LeasableDevice, Plan, plan_leases


def apply(devices: list[LeasableDevice], plan: Plan) -> list[LeasableDevice]:
    """As PostgreSQL and obedient gateways would: a moved device is withdrawn, then free."""
    result = []
    for device in devices:
        if device.name in plan.grants:
            result.append(dataclasses.replace(device, holder=plan.grants[device.name]))
        elif device.name in plan.moves:
            result.append(dataclasses.replace(device, withdrawn=True, successor=plan.moves[device.name]))
        else:
            result.append(device)
    return result


def confirm(devices: list[LeasableDevice]) -> list[LeasableDevice]:
    return [LeasableDevice(device.name, device.optics) if device.withdrawn else device for device in devices]


def settle(devices: list[LeasableDevice], gateways: list[Gateway]) -> list[LeasableDevice]:
    for _ in range(50):
        plan = plan_leases(devices, gateways)
        if not plan.grants and not plan.moves:
            return devices
        devices = confirm(apply(devices, plan))
    raise AssertionError("the plan never settles")


def loads(devices: list[LeasableDevice]) -> Counter[str]:
    found: Counter[str] = Counter()
    for device in devices:
        if device.holder is not None:
            found[device.holder] += device.optics
    return found


FOUR = [LeasableDevice(f"devices/d{index}", 4) for index in range(6)]


def test_one_gateway_gets_all_that_it_can_carry() -> None:
    assert plan_leases(FOUR, [Gateway("a", 100)]).grants == dict.fromkeys((d.name for d in FOUR), "a")
    assert len(plan_leases(FOUR, [Gateway("a", 11)]).grants) == 2


def test_a_device_is_never_split() -> None:
    assert plan_leases(FOUR, [Gateway("a", 3), Gateway("b", 3)]) == Plan()


def test_two_gateways_share() -> None:
    assert loads(settle(FOUR, [Gateway("a", 100), Gateway("b", 100)])) == {"a": 12, "b": 12}


def test_a_joining_gateway_takes_its_share_and_no_more_streams_stop_than_needed() -> None:
    held = settle(FOUR, [Gateway("a", 100)])
    gateways = [Gateway("a", 100), Gateway("b", 100)]

    plan = plan_leases(held, gateways)

    assert len(plan.moves) == 3
    assert plan_leases(apply(held, plan), gateways) == Plan()
    assert loads(settle(held, gateways)) == {"a": 12, "b": 12}


def test_nothing_moves_for_nothing() -> None:
    odd = [LeasableDevice(f"devices/d{index}", 4, holder="a" if index < 3 else "b") for index in range(5)]

    assert plan_leases(odd, [Gateway("a", 100), Gateway("b", 100)]) == Plan()


def test_a_broken_stream_keeps_its_devices_and_gets_none() -> None:
    held = settle(FOUR[:2], [Gateway("a", 100)])
    gateways = [Gateway("a", 100, connected=False)]

    assert plan_leases([*held, FOUR[2]], gateways) == Plan()


def test_a_gateway_that_lowers_its_capacity_loses_what_is_over() -> None:
    held = settle(FOUR, [Gateway("a", 100), Gateway("b", 100)])

    settled = settle(held, [Gateway("a", 4), Gateway("b", 100)])

    assert loads(settled) == {"a": 4, "b": 20}


devices_strategy = st.lists(st.integers(1, 8), max_size=25).map(
    lambda optics: [LeasableDevice(f"devices/d{index}", count) for index, count in enumerate(optics)]
)
gateways_strategy = st.lists(st.integers(0, 60), min_size=1, max_size=5).map(
    lambda capacities: [Gateway(f"g{index}", capacity) for index, capacity in enumerate(capacities)]
)


@given(devices_strategy, gateways_strategy, st.data())
def test_through_any_coming_and_going(
    devices: list[LeasableDevice], gateways: list[Gateway], data: st.DataObject
) -> None:
    for _ in range(4):
        alive = data.draw(st.lists(st.sampled_from(gateways), unique_by=lambda gateway: gateway.replica))
        names = {gateway.replica for gateway in alive}
        # The devices of the dead have expired.
        devices = [
            dataclasses.replace(device, holder=device.holder if device.holder in names else None) for device in devices
        ]
        devices = settle(devices, alive)
        carried = loads(devices)

        assert all(carried[gateway.replica] <= gateway.capacity for gateway in alive)
        room = max((gateway.capacity - carried[gateway.replica] for gateway in alive), default=0)
        assert all(device.optics > room for device in devices if device.holder is None)


@given(st.integers(0, 40), st.integers(1, 6))
def test_equal_devices_are_shared_evenly(count: int, replicas: int) -> None:
    devices = [LeasableDevice(f"devices/d{index:02}", 4) for index in range(count)]
    held = settle(devices, [Gateway("g0", 1000)])
    gateways = [Gateway(f"g{index}", 1000) for index in range(replicas)]

    shared = [loads(settle(held, gateways))[gateway.replica] for gateway in gateways]

    assert max(shared) - min(shared) <= 4
