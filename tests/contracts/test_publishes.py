"""The events that a service declares to publish are exactly those that its code creates."""

import ast
from pathlib import Path

import pytest

from deploy.api.api_docs import example_app
from deploy.local.paths import ROOT
from libs.common.events.registry import BY_TYPE
from libs.common.events.topics import SERVICES
from services.intake.storefronts.standard import TYPES as WEBHOOK_EVENTS

EVENTS = {payload.__name__: payload for payload in BY_TYPE.values()}
CONSTRUCTORS = {"model_validate", "model_validate_json", "model_construct"}


def created_events(source: str) -> set[str]:
    """Return the names of the event classes that this module calls, by name, as an attribute, or as a choice."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            found |= {name for name in _called(node.func) if name in EVENTS}
    return found


def _called(function: ast.expr) -> set[str]:
    match function:
        case ast.Name(id=name):
            return {name}
        case ast.Attribute(value=owner, attr=attribute) if attribute in CONSTRUCTORS:
            return _called(owner)
        case ast.Attribute(attr=name):
            return {name}
        case ast.IfExp(body=body, orelse=other):
            return _called(body) | _called(other)
    return set()


def created_in(folder: Path) -> set[str]:
    return {name for file in folder.rglob("*.py") for name in created_events(file.read_text("utf-8"))}


BY_THE_LIBRARY = created_in(ROOT / "libs" / "common" / "privacy") | created_in(ROOT / "libs" / "common" / "messaging")
PASSED_ON = {"intake": {payload.__name__ for payload in WEBHOOK_EVENTS.values()}}
"""Events that storefronts send over HTTP, parsed by type and published as they are."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_declares_exactly_the_events_that_its_code_creates(service: str) -> None:
    known = example_app(service).state.service
    declared = {payload.__name__ for payload in known.publishes}
    consumed = {payload.__name__ for subscription in known.subscriptions for payload in subscription.payload_types}
    created = created_in(ROOT / "services" / service)
    assert created - declared - consumed == set(), "add them to PUBLISHES"
    assert declared - created - BY_THE_LIBRARY - PASSED_ON.get(service, set()) == set(), "nothing creates them"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("IssueAccepted(issue_id=1)", {"IssueAccepted"}),
        ("issues.IssueAccepted(issue_id=1)", {"IssueAccepted"}),
        ("IssueAccepted.model_validate({})", {"IssueAccepted"}),
        ("(IssueAccepted if ok else issues.IssueRejected)(issue_id=1)", {"IssueAccepted", "IssueRejected"}),
        ("HANDLERS = {IssueAccepted: on_accepted}; isinstance(event, IssueRejected)", set()),
        ("def handle(event: IssueAccepted) -> None: ...", set()),
    ],
)
def test_an_event_counts_as_created_where_its_class_is_called(source: str, found: set[str]) -> None:
    assert created_events(source) == found
