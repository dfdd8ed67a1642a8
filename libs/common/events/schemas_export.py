"""Golden JSON Schemas for partners, one file per event type in `schemas/`.

`python -m libs.common.events.schemas_export` writes them from the models and refuses incompatible changes
(`compatibility`). They describe the wire format: money is text, absent options are omitted. A test compares the
committed files with the models.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from libs.common.events.compatibility import faults
from libs.common.events.envelope import Payload
from libs.common.events.registry import PAYLOADS, event_class, schema_name

FOLDER = Path(__file__).with_name("schemas")


class _Wire(GenerateJsonSchema):
    """Generator for the wire format: decimal numbers as text, no titles that repeat field names."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        places = schema.get("decimal_places")
        return {"type": "string", "pattern": rf"^-?\d+(\.\d{{1,{places}}})?$" if places else r"^-?\d+(\.\d+)?$"}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_of(payload: type[Payload]) -> dict[str, Any]:
    """Return the JSON Schema of one event with its envelope."""
    schema = event_class(payload).model_json_schema(schema_generator=_Wire)
    schema["required"] = sorted({*schema["required"], "specversion", "type"})
    head = {"$schema": _Wire.schema_dialect, "$id": schema_name(payload), "title": payload.__name__}
    return {**head, **{key: value for key, value in schema.items() if key != "title"}}


def text_of(payload: type[Payload]) -> str:
    return json.dumps(schema_of(payload), indent=2, ensure_ascii=False) + "\n"


def path_of(payload: type[Payload], folder: Path = FOLDER) -> Path:
    return folder / f"{payload.TYPE}.json"


def export(folder: Path = FOLDER) -> list[str]:
    """Write all schemas, or none if a change is incompatible; return the incompatibilities."""
    broken: list[str] = []
    for payload in PAYLOADS:
        path = path_of(payload, folder)
        published = json.loads(path.read_text(encoding="utf-8")) if path.exists() else schema_of(payload)
        broken += [f"{payload.TYPE}: {fault}" for fault in faults(published, schema_of(payload))]
    if not broken:
        for payload in PAYLOADS:
            path_of(payload, folder).write_text(text_of(payload), encoding="utf-8")
    return broken


def main() -> None:
    broken = export()
    if broken:
        sys.exit("\n".join(("Published schemas may only gain optional fields; publish a v2 instead:", *broken)))


if __name__ == "__main__":
    main()
