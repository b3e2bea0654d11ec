"""The nine kinds of record, described once: paging, masks, etags, storage and the servicer work from this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message

from argo.registry.v1 import registry_service_pb2, scene_pb2, site_pb2
from mesh.errors import FieldViolation
from registry import checks, rule_checks
from registry.domain.names import NamePattern
from registry.domain.network import CameraNetworks

Check = Callable[[Any, CameraNetworks], list[FieldViolation]]
CheckChange = Callable[[Any, Any], None]


@dataclass(frozen=True, eq=False)
class Resource:
    """One kind of record.

    Attributes:
        kind: name in lower case; of its table, its field in requests, and the key of its id.
        plural: of its field in the answer to a list.
        pattern: of its names.
        message: its class.
        check: everything that is wrong with a record.
        owner: path of the field that names the controller whose record it is; empty: it belongs to its device's.
        flattened: message fields whose fields have columns of their own.
        output_only: fields that a request cannot set, besides those that every record has.
        computed: fields that a filter finds in an expression over the row ``t`` instead of a column: names of queries.
        normalise: brings a checked record into the form that is stored.
        check_change: raises if the first may not become the second.
    """

    kind: str
    plural: str
    pattern: NamePattern
    message: type[Message]
    check: Check
    owner: tuple[str, ...] = ()
    flattened: tuple[str, ...] = ()
    output_only: tuple[str, ...] = ()
    computed: Mapping[str, str] = field(default_factory=dict)
    normalise: Callable[[Any], None] = lambda _message: None
    check_change: CheckChange = lambda _before, _after: None

    @property
    def camel(self) -> str:
        """As in the names of methods and messages: ``Site``."""
        return self.kind.capitalize()

    @property
    def is_root(self) -> bool:
        """Whether it has no parent."""
        return len(self.pattern.collections) == 1

    def list_response(self) -> Any:
        """An empty answer to a list."""
        return getattr(registry_service_pb2, f"List{self.plural.capitalize()}Response")()


RESOURCES: Mapping[str, Resource] = MappingProxyType(
    {
        resource.kind: resource
        for resource in (
            Resource(
                kind="controller",
                plural="controllers",
                pattern=NamePattern(("controllers",)),
                message=site_pb2.Controller,
                check=checks.check_controller,
                owner=("name",),
            ),
            Resource(
                kind="site",
                plural="sites",
                pattern=NamePattern(("sites",)),
                message=site_pb2.Site,
                check=checks.check_site,
                owner=("controller",),
                flattened=("location",),
            ),
            Resource(
                kind="device",
                plural="devices",
                pattern=NamePattern(("devices",)),
                message=site_pb2.Device,
                check=checks.check_device,
                owner=("legal_basis", "controller"),
                flattened=("legal_basis",),
                output_only=("refusals",),
                computed={"site": "site_of_device"},
                normalise=checks.normalise_device,
            ),
            Resource(
                kind="deployment",
                plural="deployments",
                pattern=NamePattern(("devices", "deployments")),
                message=site_pb2.Deployment,
                check=checks.check_deployment,
                check_change=checks.check_deployment_change,
            ),
            Resource(
                kind="optic",
                plural="optics",
                pattern=NamePattern(("devices", "optics")),
                message=site_pb2.Optic,
                check=checks.check_optic,
                flattened=("policy",),
                output_only=("refusals", "scene"),
                normalise=checks.normalise_optic,
            ),
            Resource(
                kind="zone",
                plural="zones",
                pattern=NamePattern(("devices", "optics", "zones")),
                message=scene_pb2.Zone,
                check=checks.check_zone,
            ),
            Resource(
                kind="line",
                plural="lines",
                pattern=NamePattern(("devices", "optics", "lines")),
                message=scene_pb2.Line,
                check=checks.check_line,
            ),
            Resource(
                kind="lane",
                plural="lanes",
                pattern=NamePattern(("devices", "optics", "lanes")),
                message=scene_pb2.Lane,
                check=checks.check_lane,
            ),
            Resource(
                kind="rule",
                plural="rules",
                pattern=NamePattern(("devices", "optics", "rules")),
                message=scene_pb2.Rule,
                check=rule_checks.check_rule,
                # The kinds that came later are kept as jsonb, as nested messages are everywhere.
                flattened=("line_crossing", "zone_intrusion"),
            ),
        )
    }
)
"""By kind."""
