"""The manifests, built by kubectl and checked against Kubernetes' own schemas; and what they promise each other."""

import copy
import functools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from cloudcoil.models.prometheus_operator.v1 import PodMonitor
from pydantic import ValidationError

from sidecar import __version__
from sidecar.environment import load
from sidecar.settings import Settings
from tests.alerts.rules import rules

MANIFESTS = Path(__file__).parents[1] / "deploy" / "kubernetes"
KUBECTL = Path(sys.executable).with_name("kubectl")
BUILT = ("service", "example", "worker-pod")
VERSIONS = ("1.31", "1.37")
FOREIGN = {"PodMonitor"}
"""Kinds that Kubernetes itself does not have: Prometheus' operator brings them, and a schema with each."""

SECRETS = {
    "redis-url": "redis://redis:6379/0",
    "database-url": "postgresql://sidecar@postgres/sidecar",
    "tokens": "admin:*:0123456789abcdef",
    "secret-key": "0123456789abcdef",
}
UNDER_WAY_SECONDS = 5


@functools.cache
def rendered(name: str) -> str:
    command = [str(KUBECTL), "kustomize", str(MANIFESTS / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own command
    assert done.stderr == ""
    return done.stdout


def built(name: str) -> dict[str, Any]:
    """Return what kubectl makes of a directory, by kind."""
    return {each["kind"]: each for each in yaml.safe_load_all(rendered(name))}


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = built(name)["Deployment"]["spec"]["template"]["spec"]
    return found


def containers(name: str) -> list[dict[str, Any]]:
    spec = pod(name)
    return [*spec["containers"], *spec.get("initContainers", [])]


def sidecar_of(name: str) -> dict[str, Any]:
    return next(each for each in containers(name) if each["name"] == "sidecar")


def environment(container: dict[str, Any]) -> dict[str, str]:
    """Return what a container's variables are when the secret has good values."""
    secret = {"name": "progress-sidecar"}
    found = {}
    for variable in container["env"]:
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        if reference is not None:
            assert secret.items() <= reference.items()
        found[variable["name"]] = variable["value"] if reference is None else SECRETS[reference["key"]]
    return found


def settings_of(name: str) -> Settings:
    return load(environment(sidecar_of(name)))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BUILT)
def test_manifests_are_what_kubernetes_takes(name: str, version: str) -> None:
    for kind, manifest in built(name).items():
        if kind not in FOREIGN:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_noticed() -> None:
    manifest = built("service")["Deployment"]
    manifest["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[0], strict=True)


def taken_by_the_operator(manifest: dict[str, Any]) -> bool:
    """Whether the operator's schema knows every field; raises `ValidationError` for a value that it does not take.

    Kubernetes drops what a schema does not know, and so do the models that are made of it.
    """
    kept = PodMonitor.model_validate(manifest).model_dump(by_alias=True, exclude_unset=True, mode="json")
    return bool(kept == manifest)


def test_the_monitor_is_what_the_operator_takes() -> None:
    assert taken_by_the_operator(built("example")["PodMonitor"])


def test_a_field_that_the_operator_does_not_know_and_a_value_that_is_none_would_be_noticed() -> None:
    monitor = copy.deepcopy(built("example")["PodMonitor"])
    endpoint = monitor["spec"]["podMetricsEndpoints"][0]
    endpoint["relabeling"] = []
    assert not taken_by_the_operator(monitor)
    endpoint["interval"] = "fifteen"
    with pytest.raises(ValidationError):
        taken_by_the_operator(monitor)


@pytest.mark.parametrize("name", BUILT)
def test_a_pod_may_take_as_long_to_stop_as_it_needs(name: str) -> None:
    before = sidecar_of(name).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    needs = before + settings_of(name).drain_seconds + UNDER_WAY_SECONDS
    assert pod(name)["terminationGracePeriodSeconds"] >= needs


@pytest.mark.parametrize("name", BUILT)
def test_containers_have_no_more_rights_than_they_need(name: str) -> None:
    spec = pod(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for container in containers(name):
        context = container["securityContext"]
        assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize("name", BUILT)
def test_probes_ask_the_listener_that_everybody_in_the_cluster_reaches(name: str) -> None:
    settings, container = settings_of(name), sidecar_of(name)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert (settings.ops_host, settings.ops_port) == ("0.0.0.0", ports["ops"])  # noqa: S104 - what the kubelet reaches
    assert {probe: container[probe]["httpGet"] for probe in paths} == {
        probe: {"path": path, "port": "ops"} for probe, path in paths.items()
    }
    assert ports.get("http", settings.listen_port) == settings.listen_port


@pytest.mark.parametrize("name", ["service", "example"])
def test_nobody_comes_into_the_service_without_a_token_and_no_secret_stands_in_a_manifest(name: str) -> None:
    settings = settings_of(name)
    variables = {each["name"]: each for each in sidecar_of(name)["env"]}
    secret = ("SIDECAR_TOKENS", "SIDECAR_SECRET_KEY", "SIDECAR_REDIS_URL", "SIDECAR_DATABASE_URL")
    assert settings.is_token_required
    assert [name for name in secret if "valueFrom" not in variables[name]] == []


def test_a_worker_is_started_after_its_sidecar_which_others_cannot_reach() -> None:
    sidecar = pod("worker-pod")["initContainers"][0]
    assert sidecar["restartPolicy"] == "Always"
    assert "startupProbe" in sidecar
    assert settings_of("worker-pod").listen_host == "127.0.0.1"


def labels_of(name: str) -> dict[str, str]:
    found: dict[str, str] = built(name)["Deployment"]["spec"]["template"]["metadata"]["labels"]
    return found


SELECTORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "Deployment": lambda spec: spec["selector"]["matchLabels"],
    "Service": lambda spec: spec["selector"],
    "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
    "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
}


@pytest.mark.parametrize("kind", SELECTORS)
@pytest.mark.parametrize("name", ["service", "example"])
def test_everything_of_the_service_selects_its_pods_and_no_others(name: str, kind: str) -> None:
    selector = SELECTORS[kind](built(name)[kind]["spec"])
    assert selector.items() <= labels_of(name).items()
    assert not selector.items() <= labels_of("worker-pod").items()


@pytest.mark.parametrize("name", BUILT)
def test_a_deployment_knows_its_own_pods(name: str) -> None:
    selector = built(name)["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector
    assert selector.items() <= labels_of(name).items()


def test_replicas_are_spread_over_machines_and_zones() -> None:
    spread = pod("service")["topologySpreadConstraints"]
    assert {each["topologyKey"] for each in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    assert all(each["labelSelector"]["matchLabels"].items() <= labels_of("service").items() for each in spread)


def test_ports_are_spoken_of_by_names_that_the_pod_has() -> None:
    kinds = built("example")
    named = {port["name"] for port in sidecar_of("example")["ports"]}
    allowed = [port["port"] for rule in kinds["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]]
    scraped = [each["port"] for each in kinds["PodMonitor"]["spec"]["podMetricsEndpoints"]]
    assert {*allowed, *scraped, *(port["targetPort"] for port in kinds["Service"]["spec"]["ports"])} == named


def test_metrics_which_ask_for_no_token_are_reached_from_the_monitoring_only() -> None:
    rules = built("service")["NetworkPolicy"]["spec"]["ingress"]
    assert [rule["from"] for rule in rules if {"port": "ops"} in rule["ports"]] == [
        [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    ]


Meta = dict[str, str]
"""What Prometheus knows of a pod before it makes a target of it."""


def meta_of(labels: dict[str, str], pod_name: str, phase: str = "Running") -> Meta:
    """Return what it knows of a pod with these labels; the operator gives it the names without `__meta`, too."""
    meta = {f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9]', '_', key)}": labels[key] for key in labels}
    meta |= {"__meta_kubernetes_pod_phase": phase, "__meta_kubernetes_namespace": "shop"}
    return meta | {"__meta_kubernetes_pod_name": pod_name, "namespace": "shop", "pod": pod_name}


def relabelled(known: Meta, rules: list[dict[str, Any]]) -> str | None:
    """Return the `job` under which a pod is scraped by such rules, None if it is not."""
    for rule in rules:
        joined = rule.get("separator", ";").join(known.get(label, "") for label in rule.get("sourceLabels", ()))
        found = re.fullmatch(rule.get("regex", ".*"), joined)
        match rule.get("action", "replace"):
            case "keep" if found is None:
                return None
            case "drop" if found is not None:
                return None
            case "replace" if found is not None:
                value = re.sub(r"\$(\d)", functools.partial(_group, found), rule["replacement"])
                known = known | {rule["targetLabel"]: value}
    return known.get("job")


def _group(found: re.Match[str], asked: re.Match[str]) -> str:
    return found[int(asked[1])]


def by_the_monitor(labels: dict[str, str], pod_name: str = "p", phase: str = "Running") -> str | None:
    monitor = built("example")["PodMonitor"]["spec"]
    for asked in monitor["selector"]["matchExpressions"]:
        assert asked["operator"] == "In"
        if labels.get(asked["key"]) not in asked["values"]:
            return None
    known = meta_of(labels, pod_name, phase) | {"job": labels.get(monitor["jobLabel"], "shop/progress-sidecar")}
    return relabelled(known, monitor["podMetricsEndpoints"][0]["relabelings"])


def by_annotations(labels: dict[str, str], pod_name: str = "p", phase: str = "Running") -> str | None:
    """Return what the recipe of the page does, which is of Prometheus' own spelling."""
    page = (MANIFESTS.parents[1] / "docs" / "deployment.md").read_text("utf-8")
    recipe = yaml.safe_load(page[page.index("    relabel_configs:") : page.index("Pods that have yet to begin")])
    spelt = {"source_labels": "sourceLabels", "target_label": "targetLabel"}
    rules = [{spelt.get(key, key): rule[key] for key in rule} for rule in recipe["relabel_configs"]]
    return relabelled(meta_of(labels, pod_name, phase) | {"job": "kubernetes-pods"}, rules)


RECIPES = pytest.mark.parametrize("scraped_as", [by_the_monitor, by_annotations])
FOREIGN_LABELS = {"app.kubernetes.io/name": "shop", "app.kubernetes.io/component": "importer"}


def copied_labels() -> dict[str, str]:
    """Return the labels that the page tells to copy into a worker's pod."""
    page = (MANIFESTS.parents[1] / "docs" / "deployment.md").read_text("utf-8")
    return dict(re.findall(r"^- the label `([^`: ]+): (\w+)`", page, re.MULTILINE))


@RECIPES
def test_replicas_of_the_service_are_one_deployment_to_prometheus_and_each_pod_of_a_worker_is_its_own(
    scraped_as: Callable[..., str | None],
) -> None:
    assert {scraped_as(labels_of("example"), pod_name) for pod_name in ("a", "b")} == {"progress-sidecar"}
    name = scraped_as(labels_of("worker-pod"), "worker-5d4f-x7")
    assert name == "progress-sidecar-shop-worker-5d4f-x7"
    alerts = {match for rule in rules() for match in re.findall(r'\bjob=~"([^"]*)"', rule["expr"])}
    assert any(re.fullmatch(pattern, name) for pattern in alerts)


@RECIPES
def test_a_pod_of_another_name_is_scraped_when_it_has_what_the_page_tells_to_copy(
    scraped_as: Callable[..., str | None],
) -> None:
    assert copied_labels().items() <= labels_of("worker-pod").items()
    assert scraped_as(FOREIGN_LABELS | copied_labels(), "import-1") == "progress-sidecar-shop-import-1"
    assert scraped_as(FOREIGN_LABELS, "import-1") is None


@RECIPES
@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_a_pod_that_has_yet_to_begin_or_has_ended_is_not_missed(
    scraped_as: Callable[..., str | None], phase: str
) -> None:
    assert scraped_as(labels_of("worker-pod"), phase=phase) is None


@pytest.mark.parametrize("name", ["example", "worker-pod"])
def test_the_monitor_scrapes_the_listener_with_the_metrics(name: str) -> None:
    monitor = built("example")["PodMonitor"]["spec"]
    assert by_the_monitor(labels_of(name)) is not None
    assert {each["port"] for each in monitor["podMetricsEndpoints"]} == {"ops"}
    assert "ops" in {port["name"] for port in sidecar_of(name)["ports"]}
    assert all(each["honorLabels"] is False for each in monitor["podMetricsEndpoints"])


def test_images_are_of_this_version() -> None:
    images = {container["image"].rpartition(":")[2] for name in BUILT for container in containers(name)}
    assert images == {__version__}


@pytest.mark.parametrize("name", ["service", "worker-pod"])
def test_annotations_name_the_port_that_has_the_metrics(name: str) -> None:
    annotations = built(name)["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(settings_of(name).ops_port)


def test_an_update_takes_no_replica_away_before_another_is_there() -> None:
    deployment = built("service")["Deployment"]["spec"]
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert built("service")["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
