"""Aggregate of this service, and the SQL of contacts and notices.

A notice is inserted once (`ON CONFLICT DO NOTHING` on its id), withdrawn by a mark that the sender respects, and
settled by the sender alone. Promises are append-only; a trigger refuses changes.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from libs.common.decisions.facts import Fact, Facts, Record, TimerFired
from libs.common.decisions.fast_replace import replace
from libs.common.events.loyalty import PointsExpiring, PointsGranted
from libs.common.events.registry import AnyEvent
from libs.common.events.values import language_of
from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.telemetry.log_context import current_trace
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.decide import decide
from services.delivery_notify.domain.loyalty_news import announce, is_gift
from services.delivery_notify.domain.notices import (
    AddressRequested,
    ContactRecorded,
    LineExcluded,
    NoticeCreated,
    NoticeFacts,
    NoticesWithdrawn,
    PointsDecided,
    PromiseMade,
    ReplyTextRecorded,
)
from services.delivery_notify.domain.promise_outcomes import PromiseOutcome
from services.delivery_notify.domain.routing import RecipientContact
from services.delivery_notify.domain.staff_notices import StaffNoticeCreated
from services.delivery_notify.policy.notification_rules import NotificationRules
from services.delivery_notify.store import contacts, notice_outcomes, promises, reply_texts, staff_notices
from services.delivery_notify.store.conversation_table import CONVERSATION, ConversationTable, VersionedConversation

CONTACT_TIMEOUT = timedelta(hours=24)
"""Maximum wait of a notice for the contact that comes with the order."""

_FACTS = TypeAdapter(NoticeFacts)


_CUSTOMER_KEY_PREFIX = " customer "
"""Begins the key of an event about a customer and no order. The id of an order never begins with a space."""

_GIFT_KEY_PREFIX = " gift "
"""Begins the key of a gift to a customer, of which only those who consented may hear."""


class Conversations:
    """Aggregate of this service: one conversation per order."""

    name = "conversations"
    is_read_model = False

    def __init__(self, rules: NotificationRules, *, advertises: bool = True) -> None:
        """`advertises`: messages can name the seller with its address, without which no gift may be announced."""
        self.rules, self.calendar, self._advertises = rules, rules.calendar, advertises
        self.table = ConversationTable()
        self._created = False

    def take_created(self) -> bool:
        """Return true if notices were created since the last call."""
        created, self._created = self._created, False
        return created

    def key_of(self, event: AnyEvent) -> str | None:
        """Return the key: the order, or the customer for an event about no order. Points for purchases have none."""
        payload: Any = event.data
        kind = type(payload)
        if kind is TimerFired:
            return event.subject
        if kind is PointsExpiring:
            return _CUSTOMER_KEY_PREFIX + str(payload.customer_id)
        if is_gift(payload):
            return _GIFT_KEY_PREFIX + str(payload.customer_id) if self._advertises else None
        if kind is PointsGranted and payload.issue_id is None:
            return None
        order_id: str | None = getattr(payload, "order_id", None)
        return order_id

    async def load(
        self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]
    ) -> dict[str, VersionedConversation]:
        """Load conversations; for a customer, an unsaved one that names only their latest order."""
        loaded = await self.table.load(conn, [key for key in keys if not key.startswith(" ")])
        for prefix, query in ((_CUSTOMER_KEY_PREFIX, _LATEST_ORDERS), (_GIFT_KEY_PREFIX, _CONSENTED_ORDERS)):
            customers = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
            for row in await conn.fetch(query, customers) if customers else ():
                conversation = Conversation(row["order_id"], row["customer_id"])
                loaded[prefix + row["customer_id"]] = VersionedConversation(0, conversation)
        return loaded

    def decide(
        self, state: VersionedConversation | None, event: AnyEvent, now: datetime
    ) -> tuple[VersionedConversation | None, Facts]:
        before = state.conversation if state else None
        gift: Any = event.data
        if is_gift(gift):
            return state, [_with_trace(announce(before.order_id if before else None, gift, now, self.calendar))]
        after, facts = decide(before, event, now, self.rules)
        traced = [_with_trace(fact) for fact in facts]
        if after is None or after is before:
            return state, traced
        return VersionedConversation(state.version if state else 0, after), traced

    async def save(
        self, conn: Connection, changed: Mapping[str, VersionedConversation], records: Sequence[Record]
    ) -> None:
        rows: dict[type[Record], list[Any]] = defaultdict(list)
        for record in records:
            rows[type(record)].append(record)
        await self.table.save(conn, changed)
        moved = await contacts.save_contacts(conn, rows[ContactRecorded])
        await promises.save_promises(conn, rows[PromiseMade])
        await promises.save_outcomes(conn, rows[PromiseOutcome])
        await _save_addresses(conn, rows[AddressRequested])
        created = [*rows[NoticeCreated], *(notice for notice, _ in moved)]
        await _save_notices(conn, created, {notice.notice_id: digest for notice, digest in moved})
        self._created |= bool(created)
        await reply_texts.save(conn, rows[ReplyTextRecorded])
        await notice_outcomes.lock_notices(conn, _touched(rows))
        await _save_excluded_lines(conn, rows[LineExcluded])
        await _save_points(conn, rows[PointsDecided])
        await _save_withdrawals(conn, rows[NoticesWithdrawn])
        await staff_notices.save(conn, rows[StaffNoticeCreated])


def _touched(rows: Mapping[type[Record], Sequence[Any]]) -> set[UUID]:
    """Existing notices that these records change by more than one statement."""
    if not rows[LineExcluded] and not rows[PointsDecided]:
        return set()  # withdrawal is one statement, which locks the rows itself
    ids = {notice_id for row in (*rows[NoticesWithdrawn], *rows[LineExcluded]) for notice_id in row.notice_ids}
    return ids.union(row.notice_id for row in rows[PointsDecided])


def _with_trace(fact: Fact) -> Fact:
    """Add the trace context of the causing event to a notice, or to what may give one, for its later sending."""
    if not isinstance(fact, NoticeCreated | ContactRecorded):
        return fact
    trace = current_trace()
    return replace(fact, trace=trace) if trace else fact


# Customers with the order of their newest contact; customers without a contact are absent.
_LATEST_ORDERS = """
    SELECT DISTINCT ON (customer_id) customer_id, order_id FROM contacts WHERE customer_id = ANY ($1)
    ORDER BY customer_id, placed_at DESC NULLS LAST, order_id DESC"""
# Only customers whose newest statement about some channel is a consent.
_CONSENTED_ORDERS = """
    SELECT DISTINCT ON (c.customer_id) c.customer_id, c.order_id FROM contacts c
    WHERE c.customer_id = ANY ($1) AND EXISTS (
        SELECT FROM (
            SELECT DISTINCT ON (s.channel) s.granted FROM consents s
            WHERE s.customer_id = c.customer_id AND s.purpose = 'loyalty'
            ORDER BY s.channel, s.stated_at DESC, s.granted) AS newest WHERE newest.granted)
    ORDER BY c.customer_id, c.placed_at DESC NULLS LAST, c.order_id DESC"""


async def _save_addresses(conn: Connection, rows: Sequence[AddressRequested]) -> None:
    if rows:
        keys = keys_of(conn)
        bodies = [row.address.model_dump_json(exclude_none=True) for row in rows]
        values = [
            (row.order_id, row.choice_id, None, keys.seal(contacts.TABLE, body.encode()))
            if keys.is_encrypting
            else (row.order_id, row.choice_id, body, None)
            for row, body in zip(rows, bodies, strict=True)
        ]
        await conn.execute(
            """UPDATE contacts c SET address_choice_id = w.choice_id, requested_address = w.address,
                                     requested_sealed = w.sealed
               FROM unnest($1::text[], $2::uuid[], $3::jsonb[], $4::bytea[]) AS w (order_id, choice_id, address, sealed)
               WHERE c.order_id = w.order_id""",
            *columns(values),
        )


async def requested_address(conn: Connection, order_id: str, choice_id: UUID) -> str | None:
    """Return the delivery address requested by the answer to this question, as JSON."""
    query = "SELECT requested_address, requested_sealed FROM contacts WHERE order_id = $1 AND address_choice_id = $2"
    row = await conn.fetchrow(query, order_id, choice_id)
    if row is None:
        return None
    sealed: bytes | None = row["requested_sealed"]
    plain: str | None = row["requested_address"]
    return keys_of(conn).open(contacts.TABLE, sealed).decode() if sealed else plain


# A notice without facts was sent before this database was restored (`known_notices`).
_NOTICES = """
    INSERT INTO notices (notice_id, order_id, customer_id, issue_id, kind, facts, promised_date,
                         made_at, due_at, contact_by, trace, announces, supersedes, batched, address_digest)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::jsonb[], $7::date[],
                         $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::jsonb[],
                         $13::jsonb[], $14::bool[], $15::bytea[])
    ON CONFLICT (notice_id) DO UPDATE SET facts = excluded.facts WHERE notices.facts = '{}'"""


async def _save_notices(conn: Connection, rows: Sequence[NoticeCreated], digests: Mapping[UUID, bytes | None]) -> None:
    """Insert notices; `digests` are those of mail addresses that are fixed already."""
    if rows:
        values = [
            (
                row.notice_id,
                row.order_id,
                row.customer_id,
                row.issue_id,
                row.kind,
                _FACTS.dump_json(row.facts, exclude_defaults=True).decode(),
                row.promised_date,
                row.made_at,
                row.due_at,
                row.made_at + CONTACT_TIMEOUT,
                row.trace,
                promises.refs_json(row.promises.announces),
                promises.refs_json(row.promises.supersedes),
                row.batched,
                digests.get(row.notice_id),
            )
            for row in rows
        ]
        await conn.execute(_NOTICES, *columns(values))


# Excludes lines from notices. A notice that is being sent or was sent stays, and so does one with no line left.
_EXCLUDE_LINES = """
    UPDATE notices n SET facts = n.facts || jsonb_build_object('lines', kept.lines) || CASE
        WHEN kept.lines #> '{0,previous_ship_date}' IS NULL THEN '{}'
        ELSE jsonb_build_object('previous_day', kept.lines #> '{0,previous_ship_date}') END,
        announces = jsonb_path_query_array(n.announces, '$[*] ? (!(@.subject_id == $gone[*]))', kept.gone),
        supersedes = jsonb_path_query_array(n.supersedes, '$[*] ? (!(@.subject_id == $gone[*]))', kept.gone)
    FROM (
        SELECT o.notice_id, jsonb_agg(t.line ORDER BY t.position) AS lines,
               (SELECT jsonb_build_object('gone', jsonb_agg(l.line_id))
                FROM unnest($1::uuid[], $2::text[]) AS l (notice_id, line_id) WHERE l.notice_id = o.notice_id) AS gone
        FROM notices o CROSS JOIN jsonb_array_elements(o.facts -> 'lines') WITH ORDINALITY AS t (line, position)
        WHERE o.notice_id = ANY ($1) AND NOT EXISTS (
            SELECT 1 FROM unnest($1::uuid[], $2::text[]) AS l (notice_id, line_id)
            WHERE l.notice_id = o.notice_id AND l.line_id = t.line ->> 'line_id')
        GROUP BY o.notice_id) AS kept
    WHERE n.notice_id = kept.notice_id AND n.status = 'pending' AND n.withdrawn_cause IS NULL"""


async def _save_excluded_lines(conn: Connection, rows: Sequence[LineExcluded]) -> None:
    pairs = [(notice_id, row.line_id) for row in rows for notice_id in row.notice_ids]
    if pairs:
        await conn.execute(_EXCLUDE_LINES, [notice_id for notice_id, _ in pairs], [line_id for _, line_id in pairs])


_POINTS_DECIDED = """
    UPDATE notices n SET due_at = least(n.due_at, n.made_at), facts = n.facts || jsonb_strip_nulls(jsonb_build_object(
        'points', p.points, 'usable_from', p.usable_from, 'usable_until', p.usable_until))
    FROM unnest($1::uuid[], $2::int[], $3::date[], $4::date[]) AS p (notice_id, points, usable_from, usable_until)
    WHERE n.notice_id = p.notice_id AND n.status = 'pending' AND n.withdrawn_cause IS NULL"""


async def _save_points(conn: Connection, rows: Sequence[PointsDecided]) -> None:
    if rows:
        values = [(row.notice_id, row.points, row.usable_from, row.usable_until) for row in rows]
        await conn.execute(_POINTS_DECIDED, *columns(values))


# Withdraws unsettled notices. Rows are locked in the order of their ids, as by the sender, and each is found by its id.
_WITHDRAW = """
    WITH theirs AS (
    SELECT w.* FROM (
        SELECT * FROM unnest($1::uuid[], $2::text[]) AS w (notice_id, cause) ORDER BY notice_id) AS w
        CROSS JOIN LATERAL (
            SELECT FROM notices n WHERE n.notice_id = w.notice_id
                AND n.status IN ('pending', 'sending') AND n.withdrawn_cause IS NULL
            FOR NO KEY UPDATE) AS locked)
    UPDATE notices n SET withdrawn_cause = w.cause, due_at = least(n.due_at, n.made_at)
    FROM theirs w
    WHERE n.notice_id = w.notice_id AND n.status IN ('pending', 'sending') AND n.withdrawn_cause IS NULL"""


async def _save_withdrawals(conn: Connection, rows: Sequence[NoticesWithdrawn]) -> None:
    pairs = {notice_id: row.cause for row in rows for notice_id in row.notice_ids}
    if pairs:
        await conn.execute(_WITHDRAW, list(pairs), list(pairs.values()))


async def read_conversation(conn: Connection, order_id: str) -> tuple[Conversation, RecipientContact | None] | None:
    """Return the conversation of an order, unlocked, with its contact."""
    row = await conn.fetchrow(
        """SELECT v.body, c.order_id, c.name, c.email, c.sealed, coalesce(p.language, c.language, 'ja') AS language
           FROM conversations v LEFT JOIN contacts c ON c.order_id = v.key
           LEFT JOIN preferences p ON p.customer_id = c.customer_id WHERE v.key = $1""",
        order_id,
    )
    if row is None:
        return None
    conversation = CONVERSATION.validate_json(row["body"])
    contact = None
    if row["order_id"]:
        person = keys_of(conn).open_json(contacts.TABLE, row["sealed"]) or row
        contact = RecipientContact(person.get("name") or "", person.get("email"), language_of(row["language"]))
    return conversation, contact


def parse_facts(body: str) -> NoticeFacts:
    """Parse the facts of a notice. Raises `ValueError` for an unknown format."""
    return _FACTS.validate_json(body)


async def read_notice_facts(conn: Connection, notice_id: UUID) -> NoticeFacts | None:
    body = await conn.fetchval("SELECT facts FROM notices WHERE notice_id = $1", notice_id)
    return _FACTS.validate_json(body) if body else None


async def list_notices(conn: Connection, order_id: str) -> list[dict[str, object]]:
    """Return the notices of an order, oldest first, as the API shows them."""
    rows = await conn.fetch(
        """SELECT notice_id, issue_id, kind, status, promised_date, made_at, due_at, settled_at, language, channel,
                  coalesce(cause, withdrawn_cause) AS cause, attempts, facts
           FROM notices WHERE order_id = $1 ORDER BY sequence""",
        order_id,
    )
    return [{**dict(row), "facts": json.loads(row["facts"])} for row in rows]
