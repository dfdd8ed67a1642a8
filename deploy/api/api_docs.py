"""Generates the OpenAPI and AsyncAPI documents and the README's event table from the code.

They are committed, so that a change of the contract shows in review; a test fails where they are out of date.
"""

import importlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from fastapi import FastAPI
from faststream.specification import AsyncAPI

from libs.common.events.registry import PAYLOADS, event_class
from libs.common.events.topics import SERVICES, TOPICS, Direction
from libs.common.runtime.service import Service

_PLACEHOLDER_SETTINGS = {
    "database_url": "postgresql://localhost/none",
    "kafka_bootstrap_servers": "localhost:9092",
    "evidence_dir": "photos",
    "smtp_url": "discard://",
    "mail_from": "shop@example.com",
    "public_url": "http://localhost",
    "link_secrets": "nothing-is-signed-with-this",
}

PARTNERS = {"storefront": "storefront", "warehouse": "warehouse", "carrier": "courier", "payment": "payment provider"}
"""By the first part of their topics' names."""

_BEGIN, _END = "<!-- events: written by `make docs` -->", "<!-- /events -->"

README = Path(__file__).parents[2] / "README.md"
FOLDER = Path(__file__).parent


def documents() -> dict[str, str]:
    """Every document as text, by its file name."""
    texts: dict[str, str] = {}
    for name in SERVICES:
        app = example_app(name)
        texts[f"{name}.openapi.json"] = _text(app.openapi())
        texts[f"{name}.asyncapi.json"] = _text(asyncapi(app.state.service))
    return texts


def example_app(name: str, **overrides: Any) -> FastAPI:
    """The app of a service with placeholder settings: for inspection, not to be run."""
    values = {**_PLACEHOLDER_SETTINGS, **overrides}
    settings = importlib.import_module(f"services.{name}.settings").Settings.model_validate(values)
    app: FastAPI = importlib.import_module(f"services.{name}.app").create_app(settings)
    return app


def asyncapi(service: Service) -> dict[str, Any]:
    """The service's subscriptions, as FastStream describes them, and its publications through the outbox."""
    broker = service.broker()
    for payload in service.publishes:
        broker.publisher(
            service.settings.kafka_topic_prefix + payload.TOPIC.name,
            title=f"{payload.TOPIC.name}:{payload.TYPE}",
            description=(payload.__doc__ or payload.TYPE).strip(),
            schema=event_class(payload),
        )
    document = AsyncAPI(
        broker,
        title=f"Sakidashi {service.name}",
        version="1",
        description=service.description,
        schema_version="3.0.0",
    )
    specification: dict[str, Any] = json.loads(document.to_specification().to_json())
    return specification


def event_table() -> str:
    """All events of the contract as a table with producers and consumers."""
    services = [example_app(name).state.service for name in SERVICES]
    lines = ["| topic [key] | event | from | to |", "| --- | --- | --- | --- |"]
    for payload in sorted(PAYLOADS, key=lambda payload: TOPICS.index(payload.TOPIC)):
        partner = PARTNERS.get(payload.TOPIC.name.partition(".")[0], "")
        producers = [service.name for service in services if payload in service.publishes]
        consumers = [
            s.name for s in services if any(payload in subscription.payload_types for subscription in s.subscriptions)
        ]
        if partner and payload.TOPIC.direction is Direction.IN:
            producers = [partner, *producers]
        producer, consumer = (
            ", ".join(producers) or partner or "later",
            ", ".join(consumers) or partner or "who is interested",
        )
        lines.append(f"| `{payload.TOPIC.name}` [{payload.TOPIC.key}] | `{payload.TYPE}` | {producer} | {consumer} |")
    return "\n".join(lines)


def with_event_table(readme: str) -> str:
    """The README with the current table."""
    head, begin, rest = readme.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    return f"{head}{begin}\n{event_table()}\n{end}{tail}"


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stale(folder: Path = FOLDER) -> list[str]:
    """The documents whose committed form differs from the code."""
    expected = documents()
    present = {path.name for path in folder.glob("*.json")}
    changed = [name for name, text in expected.items() if not _same(folder / name, text)]
    return sorted({*changed, *(present - expected.keys())})


def readme_is_stale() -> bool:
    """Whether the README's event table differs from the contract."""
    readme = README.read_text(encoding="utf-8")
    return with_event_table(readme) != readme


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def main(check: Annotated[bool, typer.Option(help="Only say which are out of date.")] = False) -> None:
    """Write, or with --check compare, the documents."""
    if check:
        out_of_date = [*stale(), *(["README.md"] if readme_is_stale() else [])]
        typer.echo("out of date: " + ", ".join(out_of_date) if out_of_date else "up to date")
        raise typer.Exit(bool(out_of_date))
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    README.write_text(with_event_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    typer.echo(f"{FOLDER.name}: {len(documents())} documents; README.md: the table of events")


if __name__ == "__main__":
    typer.run(main)
