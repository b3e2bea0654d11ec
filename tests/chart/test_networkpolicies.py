"""Who may talk to whom, computed from the rendered policies and compared with the one table of the design."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Manifest = dict[str, Any]
Render = Callable[[str], list[Manifest]]
Pair = tuple[str, str, int]

GRPC, HTTP, WEB = 8443, 9090, 8080
COMPONENTS = ("registry", "camera-gateway", "detector", "anonymizer", "alerting")
DATABASES = ("registry", "anonymizer", "alerting")
MESH: set[Pair] = {
    ("camera-gateway", "registry", GRPC),
    ("camera-gateway", "detector", GRPC),
    ("camera-gateway", "anonymizer", GRPC),
    ("anonymizer", "registry", GRPC),
    ("alerting", "registry", GRPC),
    ("alerting", "anonymizer", GRPC),
    ("alerting", "camera-gateway", GRPC),
}
PLATFORM: set[Pair] = {
    *((component, "nats", 4222) for component in ("camera-gateway", "detector", "alerting")),
    *((client, "postgres", 5432) for client in DATABASES),
    *((f"{client}-migration", "postgres", 5432) for client in DATABASES),
    ("anonymizer", "object-store", 443),
}
CAMERAS = "10.20.0.0/16"
CAMERA_PORTS = (80, 322, 443, 554, 8554)
MEDIA_PORT = 32768


def _name(peer: Manifest) -> str:
    """A short name of a NetworkPolicy peer: a component, a namespace, or a network."""
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    if "namespaceSelector" in peer:
        return str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
    labels = peer["podSelector"]["matchLabels"]
    return str(labels.get("app.kubernetes.io/component", labels.get("app.kubernetes.io/part-of")))


def _policies(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for manifest in manifests:
        if manifest["kind"] == "NetworkPolicy":
            yield _name(manifest["spec"]), manifest["spec"]


def _pairs(manifests: list[Manifest], direction: str) -> set[Pair]:
    side = {"ingress": "from", "egress": "to"}[direction]
    pairs = set()
    for owner, specification in _policies(manifests):
        for rule in specification.get(direction, []):
            for peer in rule[side]:
                for port in rule["ports"]:
                    ends = (_name(peer), owner) if direction == "ingress" else (owner, _name(peer))
                    pairs.add((*ends, port["port"]))
    return pairs


def test_everything_else_is_denied(render: Render) -> None:
    denials = [
        specification
        for owner, specification in _policies(render("minimal"))
        if owner == "argo" and "ingress" not in specification and "egress" not in specification
    ]

    assert [denial["policyTypes"] for denial in denials] == [["Ingress", "Egress"]]


def test_no_rule_is_open(scenario: str, render: Render) -> None:
    for owner, specification in _policies(render(scenario)):
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for rule in specification.get(direction, []):
                assert rule[side], owner
                assert all(rule[side]), owner
                assert rule["ports"], owner


def test_components_meet_exactly_as_designed(render: Render) -> None:
    manifests = render("minimal")

    assert {pair for pair in _pairs(manifests, "ingress") if pair[0] in COMPONENTS} == MESH
    assert {pair for pair in _pairs(manifests, "egress") if pair[1] in COMPONENTS} == MESH


def test_what_enters_from_outside(render: Render) -> None:
    entering = {pair for pair in _pairs(render("minimal"), "ingress") if pair[0] not in COMPONENTS}

    assert entering == {
        (CAMERAS, "camera-gateway", WEB),
        (CAMERAS, "camera-gateway", MEDIA_PORT),
        ("ingress-nginx", "anonymizer", WEB),
        ("ingress-nginx", "alerting", WEB),
        ("ingress-nginx", "registry", WEB),
        ("monitoring", "argo", HTTP),
        ("test", "argo", HTTP),
    }


def test_what_leaves_for_outside(render: Render) -> None:
    leaving = {pair for pair in _pairs(render("minimal"), "egress") if pair[1] not in COMPONENTS}

    assert leaving == PLATFORM | {
        ("argo", "kube-system", 53),
        ("test", "argo", HTTP),
        *(("camera-gateway", CAMERAS, port) for port in (*CAMERA_PORTS, MEDIA_PORT)),
    }


def test_webhooks_go_to_the_networks_and_ports_that_are_named(render: Render) -> None:
    added = _pairs(render("full"), "egress") - _pairs(render("minimal"), "egress")

    assert {pair for pair in added if pair[1] == "10.80.0.0/16"} == {
        ("alerting", "10.80.0.0/16", port) for port in (443, 8443)
    }


def test_other_systems_enter_only_when_named(render: Render) -> None:
    added = _pairs(render("full"), "ingress") - _pairs(render("minimal"), "ingress")

    assert {pair for pair in added if not pair[0].startswith("fd20")} == {
        ("10.40.0.0/24", "registry", GRPC),
        ("10.40.0.0/24", "alerting", GRPC),
        ("10.40.0.0/24", "anonymizer", GRPC),
        ("10.30.0.0/24", "anonymizer", MEDIA_PORT),
        ("None", "camera-gateway", GRPC),
    }


def test_every_service_port_has_an_ingress_rule(render: Render) -> None:
    manifests = render("minimal")
    open_ports = {(pair[1], pair[2]) for pair in _pairs(manifests, "ingress")}
    # The common policy opens the metrics port of every component.
    open_ports |= {(component, port) for owner, port in open_ports if owner == "argo" for component in COMPONENTS}
    served = {
        (manifest["spec"]["selector"]["app.kubernetes.io/component"], port["port"])
        for manifest in manifests
        if manifest["kind"] == "Service"
        for port in manifest["spec"]["ports"]
    }

    # Alerting calls and is called by nobody inside; other systems reach its gRPC port when values name them.
    assert served - open_ports == {("alerting", GRPC)}


def test_a_component_alone_has_the_same_policies(render: Render) -> None:
    whole = {
        manifest["metadata"]["name"]: manifest["spec"]
        for manifest in render("minimal")
        if manifest["kind"] == "NetworkPolicy"
    }

    for component in ("registry", "cameraGateway", "detector", "anonymizer", "alerting"):
        for manifest in render(f"solo-{component}"):
            if manifest["kind"] == "NetworkPolicy":
                assert whole[manifest["metadata"]["name"]] == manifest["spec"]
