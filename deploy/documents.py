"""Writes the OpenAPI and AsyncAPI document of every service, from the code itself, to `deploy/documents/`.

They are committed, so that a change of a border shows in review; a test fails where they are out of date.
"""

import importlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from fastapi import FastAPI
from faststream.specification import AsyncAPI

from libs.common.events.registry import event_class
from libs.common.events.topics import SERVICES
from libs.common.service import Service

_NOWHERE = {
    "database_url": "postgresql://localhost/none",
    "kafka_bootstrap_servers": "localhost:9092",
    "evidence_dir": "photos",
    "smtp_url": "discard://",
    "mail_from": "shop@example.com",
    "public_url": "http://localhost",
    "link_secrets": "nothing-is-signed-with-this",
}

FOLDER = Path(__file__).parent / "documents"


def documents() -> dict[str, str]:
    """Every document by its file name, as text."""
    made: dict[str, str] = {}
    for name in SERVICES:
        app = example_app(name)
        made[f"{name}.openapi.json"] = _text(app.openapi())
        made[f"{name}.asyncapi.json"] = _text(asyncapi(app.state.service))
    return made


def example_app(name: str) -> FastAPI:
    """The app of a service as it is wired, with settings that lead nowhere: to be looked at, not to be run."""
    settings = importlib.import_module(f"services.{name}.settings").Settings.model_validate(_NOWHERE)
    app: FastAPI = importlib.import_module(f"services.{name}.app").create_app(settings)
    return app


def asyncapi(service: Service) -> dict[str, Any]:
    """What the service takes, as FastStream describes it, and what it gives, by way of the outbox."""
    broker = service.broker()
    for payload in service.gives:
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
    made: dict[str, Any] = json.loads(document.to_specification().to_json())
    return made


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stale(folder: Path = FOLDER) -> list[str]:
    """The documents whose committed form is not what the code says now."""
    wanted = documents()
    present = {path.name for path in folder.glob("*.json")}
    changed = [name for name, text in wanted.items() if not _same(folder / name, text)]
    return sorted({*changed, *(present - wanted.keys())})


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def main(check: Annotated[bool, typer.Option(help="Only say which are out of date.")] = False) -> None:
    """Write (or check) the documents."""
    if check:
        out_of_date = stale()
        typer.echo("out of date: " + ", ".join(out_of_date) if out_of_date else "up to date")
        raise typer.Exit(bool(out_of_date))
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        typer.echo(FOLDER / name)


if __name__ == "__main__":
    typer.run(main)
