"""The manifests are valid Kubernetes, and say nothing that the code does not."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache

import kubernetes_validate
import pytest
import yaml

from challenge.api import create_app
from challenge.serving.server.prefork import GRACE_SECONDS
from challenge.serving.settings import Settings
from tests.conftest import ROOT, TEST_MODEL

FOLDER = ROOT / "deploy/kubernetes"
OVERLAYS = sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustom*.yaml"))
# Kinds of others than Kubernetes itself: it has no schema of them.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "InferenceService"}
# The settings of the command, beside those of the service.
OF_COMMAND = {"WORKERS"}


@cache
def built(overlay: str) -> list[dict]:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl")
    told = subprocess.run(
        ["kubectl", "kustomize", FOLDER / "overlays" / overlay],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    return list(yaml.safe_load_all(told.stdout))


def inference_service() -> dict:
    return yaml.safe_load((FOLDER / "kserve/inferenceservice.yaml").read_text())


def find(documents: list[dict], kind: str, name: str = "flight-prophet") -> dict:
    (found,) = (
        one
        for one in documents
        # Those that kustomize generates end with a hash of what they hold.
        if one["kind"] == kind
        and re.fullmatch(f"{name}(-[a-z0-9]{{10}})?", one["metadata"]["name"])
    )
    return found


def pods() -> dict[str, dict]:
    """The specifications of all pods that serve."""
    specs = {
        overlay: find(built(overlay), "Deployment")["spec"]["template"]["spec"]
        for overlay in OVERLAYS
    }
    return specs | {"kserve": inference_service()["spec"]["predictor"]}


def dockerfile(pattern: str) -> str:
    (found,) = re.findall(pattern, (ROOT / "Dockerfile.prod").read_text(), re.MULTILINE)
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_valid(overlay):
    for document in built(overlay):
        if document["kind"] not in FOREIGN:
            version = kubernetes_validate.latest_version()
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelled_field_would_be_found():
    deployment = find(built("production"), "Deployment")
    broken = yaml.safe_load(yaml.safe_dump(deployment))
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            broken, kubernetes_validate.latest_version(), strict=True
        )


def test_every_probe_asks_a_route_of_the_service_at_its_port():
    routes = create_app(TEST_MODEL).openapi()["paths"]
    port = int(dockerfile(r"^EXPOSE (\d+)$"))
    asked = 0
    for pod in pods().values():
        (container,) = pod["containers"]
        ports = {one.get("name"): one["containerPort"] for one in container["ports"]}
        assert set(ports.values()) == {port}
        for name, probe in container.items():
            if name.endswith("Probe"):
                request = probe["httpGet"]
                assert "get" in routes[request["path"]]
                assert ports.get(request["port"], request["port"]) == port
                asked += 1
    assert asked == 3 * len(OVERLAYS) + 2


def test_readiness_is_asked_by_readiness_and_life_by_life():
    for pod in pods().values():
        (container,) = pod["containers"]
        assert container["readinessProbe"]["httpGet"]["path"].endswith("/ready")
        assert container["livenessProbe"]["httpGet"]["path"].endswith("/live")


def test_every_setting_is_one_that_the_service_reads():
    known = {name.upper() for name in Settings.model_fields} | OF_COMMAND
    named = set()
    for overlay in OVERLAYS:
        settings = find(built(overlay), "ConfigMap")["data"]
        assert settings.keys() <= known
        service = {k: v for k, v in settings.items() if k not in OF_COMMAND}
        Settings.model_validate({name.lower(): v for name, v in service.items()})
        named |= settings.keys()
    for pod in pods().values():
        (container,) = pod["containers"]
        variables = {one["name"] for one in container.get("env", [])}
        assert variables <= known
        named |= variables
    assert {"DRAIN_SECONDS", "MODEL_FILEPATH", "MODEL_SHA256"} <= named


def test_the_model_is_written_where_it_is_read():
    spec = pods()["model-from-store"]
    (container,), (fetcher,) = spec["containers"], spec["initContainers"]
    (path,) = (e["value"] for e in container["env"] if e["name"] == "MODEL_FILEPATH")
    assert path == dockerfile(r"MODEL_FILEPATH=(\S+)")
    assert path in fetcher["command"]
    for one in (container, fetcher):
        mounts = {mount["mountPath"]: mount["name"] for mount in one["volumeMounts"]}
        assert mounts["/model"] == "model"
        assert mounts["/tmp"] == "tmp"


def test_what_messages_tell_is_on_a_volume_that_one_pod_has():
    documents = built("live")
    [volume] = [
        one for one in pods()["live"]["volumes"] if "persistentVolumeClaim" in one
    ]
    claim = volume["persistentVolumeClaim"]["claimName"]
    claimed = find(documents, "PersistentVolumeClaim", "flight-prophet-live")
    assert claimed["metadata"]["name"] == claim
    assert claimed["spec"]["accessModes"] == ["ReadWriteOncePod"]
    deployment = find(documents, "Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}
    assert "HorizontalPodAutoscaler" not in {one["kind"] for one in documents}
    (container,) = pods()["live"]["containers"]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    store = find(documents, "ConfigMap")["data"]["LIVE_STORE"]
    assert store.startswith(f"{mounts[volume['name']]}/")


def test_a_pod_has_the_time_that_stopping_takes():
    for overlay in OVERLAYS:
        pod = pods()[overlay]
        (container,) = pod["containers"]
        _, waits = container["lifecycle"]["preStop"]["exec"]["command"]
        drains = find(built(overlay), "ConfigMap")["data"]["DRAIN_SECONDS"]
        needed = int(waits) + float(drains) + GRACE_SECONDS
        assert pod["terminationGracePeriodSeconds"] >= needed


def test_pods_have_no_rights_that_they_do_not_need():
    user = int(dockerfile(r"^USER (\d+):"))
    for name, pod in pods().items():
        containers = [*pod["containers"], *pod.get("initContainers", [])]
        for container in containers:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
        whole = pod.get("securityContext") or pod["containers"][0]["securityContext"]
        assert whole["runAsNonRoot"] is True, name
        assert whole["runAsUser"] == user, name


def test_services_budgets_and_scaling_are_about_the_same_pods():
    documents = built("production")
    labels = find(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels
    service = find(documents, "Service")["spec"]
    assert service["selector"].items() <= labels.items()
    for kind in ("PodDisruptionBudget", "Deployment"):
        selector = find(documents, kind)["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels.items()
    policy = find(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items()
    target = find(documents, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "flight-prophet")
    for constraint in pods()["production"]["topologySpreadConstraints"]:
        spread = constraint["labelSelector"]["matchLabels"]
        assert spread.items() <= labels.items()


def test_the_alerts_are_those_that_were_tested():
    documents = built("monitoring")
    shipped = yaml.safe_load((ROOT / "deploy/monitoring/alerts.yml").read_text())
    assert find(documents, "PrometheusRule")["spec"] == shipped
    monitor = find(documents, "ServiceMonitor")["spec"]
    service = find(documents, "Service")
    selector = monitor["selector"]["matchLabels"]
    assert selector.items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] in create_app(TEST_MODEL).openapi()["paths"]
    job = service["metadata"]["labels"][monitor["jobLabel"]]
    assert all(
        f'job="{job}"' in rule["expr"]
        for group in shipped["groups"]
        for rule in group["rules"]
        if "up{" in rule["expr"]
    )


def test_kserve_asks_for_the_model_that_the_service_names():
    service = inference_service()
    assert service["apiVersion"] == "serving.kserve.io/v1beta1"
    (container,) = service["spec"]["predictor"]["containers"]
    name = service["metadata"]["name"]
    assert container["readinessProbe"]["httpGet"]["path"] == f"/v2/models/{name}/ready"
    assert container["name"] == "kserve-container"
