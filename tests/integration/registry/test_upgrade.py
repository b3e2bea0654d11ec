"""From release 0.1.0, which knew controllers only as free text: nothing is lost, and the services work on it."""

from __future__ import annotations

from pathlib import Path

import grpc

from argo.registry.v1 import scene_pb2, site_pb2
from mesh.audit import AuditLog
from tests.contract.registry.support import Administrator, refusal_of, running_registry
from tests.integration.registry.release import as_release_0_1_0

FLEET = """
INSERT INTO sites (name, display_name, district, location_latitude, location_longitude) VALUES
    ('sites/montanaro', 'Giardini Montanaro', '6', 45.10, 7.70),
    ('sites/deposito', 'Deposito', '6', 45.11, 7.71);
INSERT INTO devices (name, site, address, credentials, view, mobility, legal_basis_controller) VALUES
    ('devices/palo-13', 'sites/montanaro', '10.0.0.13', 'c/13', 'VIEW_CONTEXT', 'MOBILITY_FIXED',
     ' Città di Torino '),
    ('devices/palo-14', NULL, 'fd00:a::14', NULL, 'VIEW_HYBRID', 'MOBILITY_MOBILE', NULL),
    ('devices/palo-15', NULL, '10.0.0.17', NULL, 'VIEW_HYBRID', 'MOBILITY_FIXED', 'Città di Torino'),
    ('devices/cancello', 'sites/deposito', '10.0.0.15', NULL, 'VIEW_HYBRID', 'MOBILITY_FIXED', 'Amiat S.p.A.'),
    ('devices/tettoia', 'sites/alimonda', '10.0.0.16', NULL, 'VIEW_HYBRID', 'MOBILITY_FIXED', 'Amiat S.p.A.');
INSERT INTO optics (name, main_stream_path) VALUES
    ('devices/cancello/optics/o', '/1'), ('devices/tettoia/optics/o', '/1');
INSERT INTO deployments (name, site, decision, decision_time, reason, start_time, end_time) VALUES
    ('devices/palo-14/deployments/d', 'sites/montanaro', 'COSP 1', now(), 'furti', now(), now() + interval '7 days');
UPDATE sites SET lot = '3' WHERE name = 'sites/alimonda';
DELETE FROM optics WHERE name = 'devices/tettoia/optics/o';
"""


async def test_the_records_of_0_1_0_are_kept_each_with_its_controller(empty_dsn: str, tmp_path: Path) -> None:
    await as_release_0_1_0(empty_dsn, "'Città di Torino'", FLEET)
    async with running_registry(empty_dsn, tmp_path) as registry:
        async with registry.channel("administrator/mrossi") as channel:
            city = Administrator(channel)
            controllers = {each.display_name: each.name for each in (await city.ListControllers()).controllers}
            owner = controllers["Amiat S.p.A."].removeprefix("controllers/")
            assert controllers["Città di Torino"] == "controllers/city"
            assert [each.name for each in (await city.ListDevices()).devices] == [
                "devices/palo-12", "devices/palo-13", "devices/palo-14", "devices/palo-15",
            ]  # fmt: skip
            assert [each.name for each in (await city.ListSites()).sites] == ["sites/alimonda", "sites/montanaro"]
            rule = await city.GetRule(name="devices/palo-12/optics/nord/rules/sosta")
            assert (rule.mode, rule.WhichOneof("parameters")) == (scene_pb2.Rule.MODE_LIVE, "zone_intrusion")
            assert await registry.pool.fetchval("SELECT watched_zone FROM rules") == rule.zone_intrusion.zone
            changed = await city.UpdateSite(site=site_pb2.Site(name="sites/alimonda", district="7"))
            assert (changed.lot, changed.district, changed.controller) == ("3", "7", "controllers/city")
        async with registry.channel(f"tenants/{owner}/administrator/lbianchi") as channel:
            await _owner_works_on(Administrator(channel))

        assert await AuditLog(registry.pool).verify() is None
        assert await registry.pool.fetchval("SELECT count(*) FROM change WHERE controller IS NULL") == 0
        deleted = "SELECT controller FROM change WHERE name = 'devices/tettoia/optics/o' AND record IS NULL"
        assert await registry.pool.fetchval(deleted) == f"controllers/{owner}"


async def _owner_works_on(owner: Administrator) -> None:
    """The owner's records: a site where only its own camera stands is its own, a shared one stays the city's."""
    devices = {each.name: each for each in (await owner.ListDevices()).devices}
    assert set(devices) == {"devices/cancello", "devices/tettoia"}
    assert [each.name for each in (await owner.ListSites()).sites] == ["sites/deposito"]
    shared = devices["devices/tettoia"]
    assert shared.site == "sites/alimonda"
    # What refers to a shared site goes on; nothing new can refer to it.
    renamed = await owner.UpdateDevice(
        device=site_pb2.Device(name=shared.name, display_name="Tettoia", etag=shared.etag)
    )
    assert renamed.display_name == "Tettoia"
    moved = await refusal_of(owner.UpdateDevice(device=site_pb2.Device(name="devices/cancello", site="sites/alimonda")))
    assert (moved.code, moved.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SITE_NOT_FOUND")
    await owner.UpdateDevice(device=site_pb2.Device(name=shared.name, site="sites/deposito"))
