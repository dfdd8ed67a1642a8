"""Examples of requests and answers in the OpenAPI document, read from `examples.json` beside the routes.

They are kept apart from the routes: an example is longer than its route, and a test validates all of them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

COMMON_FILE = Path(__file__).with_name("examples.json")
"""Examples of the routes that every service has."""

PAGE = '<!doctype html><html lang="ja"><head><title>…</title></head><body>…</body></html>'
_METHODS = ("get", "post", "put", "patch", "delete")


def add_examples(app: FastAPI, *files: Path) -> None:
    """Show the examples of these files in the app's document; a page has a short one of its own."""
    examples: dict[str, dict[str, Any]] = {}
    for file in (COMMON_FILE, *files):
        examples |= json.loads(file.read_text(encoding="utf-8"))
    original = app.openapi

    def documented() -> dict[str, Any]:
        if app.openapi_schema is None:
            for name, operation in operations(original()):
                _add(operation, examples.get(name, {}))
        return original()

    app.openapi = documented  # type: ignore[method-assign]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation of a document by method and path, such as `GET /v1/cases`."""
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield f"{method.upper()} {path}", methods[method]


def _add(operation: dict[str, Any], example: dict[str, Any]) -> None:
    if "request" in example:
        contents = operation["requestBody"]["content"]
        contents.get("application/json", next(iter(contents.values())))["example"] = example["request"]
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            if status.startswith("2") and media_type == "text/html":
                content["example"] = PAGE
            elif status.startswith("2") and "answer" in example:
                content["example"] = example["answer"]
