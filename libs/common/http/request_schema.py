"""OpenAPI request body of a route that parses its body itself."""

from typing import Any

from pydantic import BaseModel


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": _inlined(model.model_json_schema())}}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Inline the references of a schema, which would point into a document of their own."""
    shared = schema.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inline(shared[part["$ref"].rpartition("/")[2]])
        return {name: inline(value) for name, value in part.items()}

    inlined: dict[str, Any] = inline(schema)
    return inlined
