"""Archive of events: intake's timelines, and which subscriber applied each of them, by the inboxes.

The timeline holds neither author nor source. Both follow from the type; of the types that several services publish,
from the mark that the timeline itself left in the inbox of intake.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from deploy.api.api_docs import example_app
from deploy.reconciliation.snapshot import ArchivedEvent, Issue, Unread
from libs.common.events.envelope import Payload
from libs.common.events.registry import BY_TYPE, AnyEvent, event_class, schema_name
from libs.common.events.sources import service_source
from libs.common.events.topics import SERVICES
from libs.common.messaging import dead_letters, inbox
from libs.common.postgres.pool import Connection
from services.intake.store import reconciliation as intake

ARCHIVE = ("intake", "timeline")
"""Service and consumer that keep the archive."""

DEAD_LETTER_PAGE = 1000

Consumer = tuple[str, str]
"""Service, and name of its aggregate."""


@dataclass
class Wiring:
    """Authors and consumers of each event type, as the services are wired."""

    authors: dict[type[Payload], list[str]] = field(default_factory=lambda: defaultdict(list))
    consumers: dict[type[Payload], list[Consumer]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of_services(cls) -> "Wiring":
        wiring = cls()
        for name in SERVICES:
            service = example_app(name).state.service
            for payload in service.publishes:
                wiring.authors[payload].append(name)
            for subscription in service.subscriptions:
                for payload in subscription.payload_types:
                    wiring.consumers[payload].append((name, subscription.aggregate.name))
        return wiring


def _decoded(row: asyncpg.Record, issue: Issue) -> AnyEvent | None:
    """Return an archived event without its source; None where erasure removed a required field."""
    payload_class = BY_TYPE.get(row["type"])
    if payload_class is None:
        return None
    ids = {"issue_id": issue.issue_id, "order_id": issue.order_id, "customer_id": issue.customer_id}
    fields = {name: value for name, value in ids.items() if name in payload_class.model_fields}
    try:
        payload = payload_class.model_validate({**json.loads(row["data"]), **fields})
    except ValueError:
        return None
    return event_class(payload_class).model_construct(
        id=row["event_id"],
        source="",
        type=payload.TYPE,
        subject=payload.subject,
        time=row["at"],
        dataschema=schema_name(payload_class),
        data=payload,
    )


def _key(consumer: str, event: AnyEvent, author: str) -> bytes:
    topic = event.data.TOPIC
    return inbox.key_of(consumer, topic.name, service_source(author, topic), event.id)


async def read_archive(
    connections: Mapping[str, Connection], issues: Mapping[UUID, Issue]
) -> dict[UUID, list[ArchivedEvent]]:
    """Return the events of these issues in time order, with the services that did not apply them."""
    wiring = Wiring.of_services()
    async with connections["intake"].transaction(readonly=True):
        rows = await intake.read_archived_events(connections["intake"], list(issues))
    found = [(row["issue_id"], event) for row in rows if (event := _decoded(row, issues[row["issue_id"]]))]
    events = [event for _, event in found]
    applied = {name: await _applied(connections[name], name, events, wiring) for name in SERVICES}
    letters = {name: await _dead_letters(connections[name]) for name in SERVICES}
    archive: dict[UUID, list[ArchivedEvent]] = defaultdict(list)
    for issue_id, unsigned in found:
        author = _author(unsigned, wiring, applied["intake"])
        event = unsigned.model_copy(update={"source": service_source(author, unsigned.data.TOPIC)})
        unread = tuple(_unread(event, author, wiring, applied, letters))
        archive[issue_id].append(ArchivedEvent(event, author, unread))
    return dict(archive)


async def _applied(conn: Connection, service: str, events: Iterable[AnyEvent], wiring: Wiring) -> set[bytes]:
    """Return the inbox keys of these events that this service has, of all possible authors."""
    keys = [
        _key(consumer, event, author)
        for event in events
        for name, consumer in wiring.consumers[type(event.data)]
        if name == service
        for author in wiring.authors[type(event.data)]
    ]
    async with conn.transaction(readonly=True):
        return await inbox.known_keys(conn, keys)


def _author(event: AnyEvent, wiring: Wiring, archived: set[bytes]) -> str:
    authors = wiring.authors[type(event.data)]
    return next((author for author in authors if _key(ARCHIVE[1], event, author) in archived), authors[0])


async def _dead_letters(conn: Connection) -> dict[tuple[str, str], int]:
    """Return the open dead letters by source and id of their events."""
    found: dict[tuple[str, str], int] = {}
    for state in ("open", "replaying"):
        after = 0
        while page := await dead_letters.list_dead_letters(conn, state=state, after=after, limit=DEAD_LETTER_PAGE):
            after = page[-1].id
            for letter in page:
                try:
                    event = json.loads(letter.value or b"{}")
                    found[event["source"], event["id"]] = letter.id
                except (ValueError, KeyError, TypeError):
                    continue
    return found


def _unread(
    event: AnyEvent,
    author: str,
    wiring: Wiring,
    applied: Mapping[str, set[bytes]],
    letters: Mapping[str, Mapping[tuple[str, str], int]],
) -> Iterator[Unread]:
    for service, consumer in wiring.consumers[type(event.data)]:
        if (service, consumer) != ARCHIVE and _key(consumer, event, author) not in applied[service]:
            yield Unread(service, letters[service].get((event.source, event.id)))
