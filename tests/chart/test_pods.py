"""What holds for every pod that the chart makes, in every scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]
Pods = Callable[[list[Manifest]], dict[str, Manifest]]
Render = Callable[[str], list[Manifest]]


def test_pods_are_restricted(scenario: str, render: Render, pods: Pods) -> None:
    for name, template in pods(render(scenario)).items():
        pod = template["spec"]
        security = pod["securityContext"]

        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == 10001, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert not [volume for volume in pod.get("volumes", []) if "hostPath" in volume], name


def test_containers_are_restricted(scenario: str, render: Render, pods: Pods) -> None:
    for name, template in pods(render(scenario)).items():
        for container in template["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["requests"]["memory"], name
            assert container["resources"]["limits"]["memory"], name


def test_images_are_pinned(scenario: str, render: Render, pods: Pods) -> None:
    for name, template in pods(render(scenario)).items():
        for container in template["spec"]["containers"]:
            reference = container["image"].rsplit("/", 1)[1]

            assert "@sha256:" in reference or ":" in reference, name
            assert not reference.endswith(":latest"), name


def test_no_service_links(scenario: str, render: Render, pods: Pods) -> None:
    # A Service named argo-registry would put ARGO_REGISTRY_SERVICE_HOST into every pod, which the settings refuse.
    for name, template in pods(render(scenario)).items():
        assert template["spec"]["enableServiceLinks"] is False, name


def test_scratch_space_is_memory(scenario: str, render: Render, pods: Pods) -> None:
    for name, template in pods(render(scenario)).items():
        for volume in template["spec"].get("volumes", []):
            if "emptyDir" in volume:
                assert volume["emptyDir"]["medium"] == "Memory", name


def test_deployments_have_probes_on_the_http_port(scenario: str, render: Render, pods: Pods) -> None:
    for name, template in pods(render(scenario)).items():
        if name.startswith("Deployment/"):
            container = template["spec"]["containers"][0]

            assert container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}, name
            assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}, name
            assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}, name


def test_a_pod_has_time_to_drain(scenario: str, render: Render, pods: Pods) -> None:
    for name, template in pods(render(scenario)).items():
        if name.startswith("Deployment/"):
            variables = {item["name"]: item.get("value") for item in template["spec"]["containers"][0]["env"]}
            drain = float(variables["ARGO_DRAIN_DELAY_SECONDS"]) + float(variables["ARGO_SHUTDOWN_GRACE_SECONDS"])

            assert template["spec"]["terminationGracePeriodSeconds"] > drain, name


def test_secrets_come_by_reference_only(scenario: str, render: Render, pods: Pods) -> None:
    manifests = render(scenario)
    secret_words = ("DSN", "TOKEN", "SECRET", "PASSWORD", "ACCESS_KEY")

    assert [manifest for manifest in manifests if manifest["kind"] == "Secret"] == []
    for name, template in pods(manifests).items():
        for variable in template["spec"]["containers"][0].get("env", []):
            if any(word in variable["name"] for word in secret_words):
                assert "value" not in variable, name
                assert variable["valueFrom"]["secretKeyRef"]["name"], name


def test_more_than_one_replica_means_a_disruption_budget(scenario: str, render: Render) -> None:
    manifests = render(scenario)
    budgets = {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "PodDisruptionBudget"}
    scalers = {manifest["metadata"]["name"] for manifest in manifests if "scaleTargetRef" in manifest.get("spec", {})}

    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            name = manifest["metadata"]["name"]
            replicas = manifest["spec"].get("replicas")

            assert (replicas is None) == (name in scalers), f"{name}: a scaler and a fixed number would fight"
            assert (name in budgets) == (replicas != 1), name


def test_a_gpu_is_free_before_its_successor_starts(render: Render) -> None:
    detector = next(
        manifest
        for manifest in render("full")
        if manifest["kind"] == "Deployment" and manifest["metadata"]["name"] == "argo-detector"
    )

    assert detector["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_migrations_run_around_the_roll_out(render: Render) -> None:
    hooks = {
        manifest["metadata"]["name"]: manifest["metadata"]["annotations"]["helm.sh/hook"]
        for manifest in render("minimal")
        if manifest["kind"] == "Job" and "migrate" in manifest["metadata"]["name"]
    }

    assert hooks == {
        "argo-registry-migrate-pre": "pre-install,pre-upgrade",
        "argo-registry-migrate-post": "post-install,post-upgrade",
        "argo-anonymizer-migrate-pre": "pre-install,pre-upgrade",
        "argo-anonymizer-migrate-post": "post-install,post-upgrade",
        "argo-alerting-migrate-pre": "pre-install,pre-upgrade",
        "argo-alerting-migrate-post": "post-install,post-upgrade",
    }


def test_migrations_need_nothing_that_the_chart_makes(render: Render, pods: Pods) -> None:
    # Hooks run before the chart's objects: no ServiceAccount and no certificate of ours exists yet.
    for name, template in pods(render("minimal")).items():
        if "migrate" in name:
            volumes = [volume["name"] for volume in template["spec"]["volumes"]]

            assert "serviceAccountName" not in template["spec"], name
            assert volumes == ["tmp"], name


def test_certificates_carry_identity_and_name(render: Render) -> None:
    certificates = {
        manifest["metadata"]["name"].removeprefix("argo-"): manifest["spec"]
        for manifest in render("minimal")
        if manifest["kind"] == "Certificate"
    }

    assert set(certificates) == {"registry", "camera-gateway", "detector", "anonymizer", "alerting"}
    for component, specification in certificates.items():
        assert specification["uris"] == [f"spiffe://argo.local/service/{component}"]
        assert component in specification["dnsNames"]
        assert f"argo-{component}-headless.argo.svc.cluster.local" in specification["dnsNames"]


def test_a_key_service_takes_the_place_of_the_key_in_a_secret(render: Render, pods: Pods) -> None:
    with_service = pods(render("existing-secrets"))["Deployment/argo-anonymizer"]
    with_secret = pods(render("minimal"))["Deployment/argo-anonymizer"]

    def shape(template: Manifest) -> tuple[set[str], set[str]]:
        volumes = {volume["name"] for volume in template["spec"]["volumes"]}
        return volumes & {"recording-key"}, {each["name"] for each in template["spec"]["containers"][0]["env"]} & {
            "ARGO_RECORDING_KEY_FILE", "ARGO_RECORDING_KMS_KEY", "AWS_ENDPOINT_URL_KMS",
        }  # fmt: skip

    assert shape(with_service) == (set(), {"ARGO_RECORDING_KMS_KEY", "AWS_ENDPOINT_URL_KMS"})
    assert shape(with_secret) == ({"recording-key"}, {"ARGO_RECORDING_KEY_FILE"})
