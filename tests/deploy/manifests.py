"""Kubernetes manifests: rendered by helm, and checked against the schemas of Kubernetes and of custom resources."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.kubernetes.generated import CHART, EXAMPLES
from deploy.local.paths import CACHE

Manifest = dict[str, Any]

VERSIONS = ("1.35", "1.36", "1.37")
HELM = shutil.which("helm") or (str(CACHE / "bin" / "helm") if (CACHE / "bin" / "helm").exists() else None)
needs_helm = pytest.mark.skipif(HELM is None and not os.environ.get("CI"), reason="helm is not installed")
FIELDS: dict[str, Manifest] = yaml.safe_load(Path(__file__).with_name("custom_resources.yaml").read_text("utf-8"))
_METADATA = {"name!": "string", "labels": "labels", "annotations": "labels"}


def helm(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run helm. Without a version of its own, as `go install` builds it, it takes Kubernetes for 1.20."""
    assert HELM, "CI needs helm; .ci/run builds it into .cache/bin"
    command = [HELM, *map(str, arguments), "--kube-version", VERSIONS[-1]]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def render(*arguments: str | Path, values: str = "values.yaml") -> list[Manifest]:
    """Return the manifests of the chart with the values of an example."""
    answer = helm("template", "shop", CHART, "--values", EXAMPLES / values, *arguments)
    assert answer.returncode == 0, answer.stderr
    return documents(answer.stdout)


def documents(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yield the pod specification of every workload, with its name."""
    for each in manifests:
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", each).get("spec", {}) if each["kind"] == "CronJob" else spec
        if "template" in spec:
            yield each["metadata"]["name"], spec["template"]["spec"]


def faults(manifest: Manifest, version: str) -> list[str]:
    """Return the violations of a manifest's schema; those of custom resources do not depend on the version."""
    where = f"{manifest['kind']} {manifest['metadata']['name']}"
    if manifest["kind"] in FIELDS:
        schema = _schema_of(manifest["kind"])
        return [f"{where}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(manifest)]
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return [f"{where}: {error}"]
    return []


def _schema_of(kind: str) -> Manifest:
    fields = FIELDS[kind]
    schema = _schema({"kind!": "string", "metadata!": _METADATA, "spec!": fields["spec"]})
    schema["properties"]["apiVersion"] = {"const": fields["apiVersion"]}
    return schema


def _schema(fields: Any) -> Manifest:
    if isinstance(fields, list):
        return {"type": "array", "items": _schema(fields[0])}
    if isinstance(fields, dict):
        properties = {name.removesuffix("!"): _schema(each) for name, each in fields.items()}
        required = [name[:-1] for name in fields if name.endswith("!")]
        return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}
    if fields == "labels":
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {} if fields == "any" else {"type": fields}
