"""The committed OpenAPI and AsyncAPI documents match the code."""

import json
from pathlib import Path

import pytest

from deploy.api import api_docs
from libs.common.events.topics import ALL_SERVICES


def test_the_committed_documents_are_up_to_date() -> None:
    assert api_docs.stale() == [], "run `make docs` and commit what it writes"


def test_a_document_that_was_changed_or_is_left_over_is_noticed(tmp_path: Path) -> None:
    for name, text in api_docs.documents().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert api_docs.stale(tmp_path) == []
    (tmp_path / "gone.openapi.json").write_text("{}", encoding="utf-8")
    (tmp_path / "intake.openapi.json").write_text("{}", encoding="utf-8")
    assert api_docs.stale(tmp_path) == ["gone.openapi.json", "intake.openapi.json"]


def test_every_event_a_service_gives_is_in_its_asyncapi_document() -> None:
    for name in ALL_SERVICES:
        service = api_docs.example_app(name).state.service
        text = api_docs.documents()[f"{name}.asyncapi.json"]
        assert service.publishes
        assert all(payload.TYPE in text for payload in service.publishes)


@pytest.mark.parametrize("name", ALL_SERVICES)
def test_every_message_has_an_example_of_each_of_its_events(name: str) -> None:
    messages = json.loads(api_docs.documents()[f"{name}.asyncapi.json"])["components"]["messages"]
    service = api_docs.example_app(name).state.service
    published = {f"{each.TOPIC.name}:{each.TYPE}:Message": {each.TYPE} for each in service.publishes}
    read = {f"{each.topic}:{name}:SubscribeMessage": {payload.TYPE for payload in each.payload_types}
            for each in service.subscriptions}  # fmt: skip
    shown = {key: {example["payload"]["type"] for example in message.get("examples", ())}
             for key, message in messages.items()}  # fmt: skip
    assert shown == {**published, **read}
