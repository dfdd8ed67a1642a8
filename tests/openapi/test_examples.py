"""Every operation of every service has an example that its own schema accepts."""

import json
from functools import cache
from typing import Any

import jsonschema
import pytest

from deploy.api import api_docs
from deploy.local.paths import ROOT
from libs.common.events.topics import ALL_SERVICES
from libs.common.http.examples import COMMON_FILE, operations

IMAGES = ("/photos/{sha256}", "/photos/{sha256}/thumbnail")
"""Ends of paths whose answer is an image."""


@cache
def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(api_docs.documents()[f"{name}.openapi.json"])
    return found


def contents(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return request body and answers of success that have an example."""
    bodies = [operation.get("requestBody", {}), *(operation["responses"][code] for code in successes(operation))]
    return [content for body in bodies for content in body.get("content", {}).values() if "example" in content]


def successes(operation: dict[str, Any]) -> list[str]:
    return [code for code in operation["responses"] if code.startswith("2")]


OPERATIONS = [(name, *each) for name in ALL_SERVICES for each in operations(document(name))]


def test_all_operations_are_looked_at() -> None:
    assert len(OPERATIONS) >= 110


@pytest.mark.parametrize(("name", "route", "operation"), OPERATIONS, ids=[f"{n} {r}" for n, r, _ in OPERATIONS])
def test_an_operation_has_examples_that_fit_its_schema(name: str, route: str, operation: dict[str, Any]) -> None:
    found = contents(operation)
    assert found or route.endswith(IMAGES), f"add {route} to examples.json"
    takes_json = "application/json" in operation.get("requestBody", {}).get("content", {})
    assert not takes_json or "example" in operation["requestBody"]["content"]["application/json"]
    for content in found:
        schema = {**content.get("schema", {}), "components": document(name).get("components", {})}
        jsonschema.Draft202012Validator(schema).validate(content["example"])


@pytest.mark.parametrize("name", ALL_SERVICES)
def test_there_is_no_example_of_a_route_that_is_gone(name: str) -> None:
    files = (COMMON_FILE, ROOT / "services" / name / "http" / "examples.json")
    named = {route for file in files for route in json.loads(file.read_text("utf-8"))}
    assert named - {route for route, _ in operations(document(name))} == set()


@pytest.mark.parametrize("name", ALL_SERVICES)
def test_no_reference_of_a_document_leads_nowhere(name: str) -> None:
    text = json.dumps(document(name))
    schemas = document(name).get("components", {}).get("schemas", {})
    references = {part.partition('"')[0] for part in text.split('"$ref": "')[1:]}
    assert [each for each in references if each.removeprefix("#/components/schemas/") not in schemas] == []
