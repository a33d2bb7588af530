"""The Kubernetes manifest: held against the schemas of Kubernetes, and against the service."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from petsage import contract
from tests.documents import DOCUMENTS, table
from tests.running import ROOT, gunicorn_settings

pytestmark = pytest.mark.contract

MANIFEST = {
    one["kind"]: one for one in yaml.safe_load_all(Path(ROOT, "deploy/kubernetes.yaml").read_text())
}
POD: dict[str, Any] = MANIFEST["Deployment"]["spec"]["template"]["spec"]
(WEB,) = POD["containers"]


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_it_fits_the_schemas_strictly(kind: str, version: str) -> None:
    # 1.30 is the first that has the native sleep without a feature gate.
    kubernetes_validate.validate(MANIFEST[kind], version, strict=True)


def test_a_misspelt_member_would_be_found() -> None:
    spoiled = MANIFEST["Service"] | {"spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoiled, "1.30", strict=True)


def test_its_variables_are_settings_of_the_service() -> None:
    settings = {row[0].strip("`") for row in table("Settings", DOCUMENTS["docs/server.md"])}
    assert {one["name"] for one in WEB["env"]} <= settings


def test_the_pre_stop_sleep_and_the_graceful_stop_fit_into_the_grace_period() -> None:
    sleep = WEB["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert (
        sleep + int(gunicorn_settings()["graceful_timeout"]) < POD["terminationGracePeriodSeconds"]
    )


def test_the_probes_ask_what_they_should() -> None:
    asked = {name: WEB[name]["httpGet"]["path"] for name in WEB if name.endswith("Probe")}
    assert asked == {
        "startupProbe": contract.LIVE_PATH,
        "livenessProbe": contract.LIVE_PATH,
        "readinessProbe": contract.READY_PATH,
    }


def test_it_runs_without_privileges_and_within_limits() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert WEB["securityContext"]["readOnlyRootFilesystem"] is True
    assert WEB["securityContext"]["allowPrivilegeEscalation"] is False
    assert WEB["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert WEB["resources"]["limits"]["memory"]
    # On a read-only root, only this can be written to.
    assert gunicorn_settings()["worker_tmp_dir"] == "/dev/shm"


def test_the_service_leads_to_the_pods() -> None:
    labels = MANIFEST["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selector = MANIFEST["Service"]["spec"]["selector"]
    assert selector.items() <= labels.items()
    (port,) = MANIFEST["Service"]["spec"]["ports"]
    assert port["targetPort"] in {one["name"] for one in WEB["ports"]}
