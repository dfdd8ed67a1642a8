"""OpenAPI and AsyncAPI documents of the services, generated from the code.

They are committed, so that a change of a border shows in review; a test fails while one is out of date.
"""

import importlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from faststream.specification import AsyncAPI

from deploy.service_settings import settings_class
from libs.common import __version__
from libs.common.events.envelope import Payload
from libs.common.events.partner_rights import PartnerRole
from libs.common.events.registry import PAYLOADS, event_class
from libs.common.events.sources import PARTNERS
from libs.common.events.topics import ALL_SERVICES, TOPICS, Direction
from libs.common.runtime.service import Service

PLACEHOLDER_SETTINGS = {
    "database_url": "postgresql://localhost/none",
    "kafka_bootstrap_servers": "localhost:9092",
    "evidence_dir": "photos",
    "smtp_url": "discard://",
    "mail_from": "shop@example.com",
    "public_url": "http://localhost",
    "link_secrets": "nothing-is-signed-with-this",
    "partners": "\n".join(f'[partners.a-{role}]\nrole = "{role}"' for role in PartnerRole),
}

FOLDER = Path(__file__).parent
SAMPLES = FOLDER.parents[1] / "tests" / "contracts" / "samples"


@cache
def documents() -> Mapping[str, str]:
    """Every document by its file name, as text; made once in a process."""
    made: dict[str, str] = {}
    for name in ALL_SERVICES:
        app = example_app(name)
        made[f"{name}.openapi.json"] = _text(app.openapi())
        made[f"{name}.asyncapi.json"] = _text(asyncapi(app.state.service))
    return made


def example_app(name: str, **settings_besides: Any) -> FastAPI:
    """The app of a service as it is wired, with settings that lead nowhere: to be looked at, not to be run."""
    given = {**PLACEHOLDER_SETTINGS, **settings_besides}
    settings = settings_class(name).model_validate(given)
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
        version=__version__,
        description=service.description,
        schema_version="3.0.0",
    )
    specification: dict[str, Any] = json.loads(document.to_specification().to_json())
    _add_examples(specification, service)
    return specification


def _add_examples(specification: dict[str, Any], service: Service) -> None:
    """Add to each message the samples of its events: the contract tests read the same files."""
    messages: dict[str, Any] = specification["components"]["messages"]
    prefix = service.settings.kafka_topic_prefix
    for payload in service.publishes:
        messages[f"{prefix}{payload.TOPIC.name}:{payload.TYPE}:Message"]["examples"] = _samples([payload])
    for each in service.subscriptions:
        messages[f"{prefix}{each.topic}:{service.name}:SubscribeMessage"]["examples"] = _samples(each.payload_types)


def _samples(payloads: Iterable[type[Payload]]) -> list[dict[str, Any]]:
    """Return the samples of these events, the plain one of each first."""
    paths = [path for payload in payloads for path in sorted(SAMPLES.glob(f"{payload.TYPE}*.json"))]
    return [{"name": path.stem, "payload": json.loads(path.read_text(encoding="utf-8"))} for path in paths]


def event_table() -> str:
    """All events of the contract as a table with producers and consumers."""
    services = [example_app(name).state.service for name in ALL_SERVICES]
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


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stale(folder: Path = FOLDER) -> list[str]:
    """The documents whose committed form differs from the code."""
    expected = documents()
    present = {path.name for path in folder.glob("*.json")}
    changed = [name for name, text in expected.items() if not _same(folder / name, text)]
    return sorted({*changed, *(present - expected.keys())})


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def write_documents() -> None:
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
