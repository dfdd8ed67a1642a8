"""SQL of the notice queue: claim due notices, mark the channel of an attempt. See `notice_outcomes` for their ends."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.customers import ConsentPurpose
from libs.common.events.notices import NoticeKind
from libs.common.events.values import language_of
from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.loyalty_news import ADVERTISING
from services.delivery_notify.domain.routing import DEFERRABLE, RecipientContact
from services.delivery_notify.store import contacts, reply_texts
from services.delivery_notify.store.preferences import line_and_phone

COUNTED = DEFERRABLE | ADVERTISING
"""Kinds that the daily limit may defer, so that messages are counted for them."""

KNOWN = tuple(NoticeKind)
"""Kinds that this release can render; those of the next wait for it during a rolling upgrade."""

NO_REFS = "[]"
"""No promise is announced or broken; the case of most notices."""


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice leased by this sender. `contact` is None if the contact did not arrive in time.

    `kind` and `facts` are unparsed: an invalid row must not fail the other notices of its claim. `started_channel` is
    the channel of an attempt that may have succeeded ("" for none), `failed_channels` those that failed permanently,
    `recent_messages` counts the customer's messages of the last 24 hours, `batch_id` is the message that contains this
    notice, of `notices_in_batch` notices.
    """

    notice_id: UUID
    order_id: str
    customer_id: str
    issue_id: UUID | None
    kind: str
    facts: str
    promised_date: date | None
    attempts: int
    withdrawn: str | None
    contact: RecipientContact | None
    trace: str | None
    started_channel: str = ""
    failed_channels: tuple[str, ...] = ()
    recent_messages: int = 0
    batched: bool = False
    batch_id: UUID | None = None
    notices_in_batch: int | None = None
    announces: str = NO_REFS
    supersedes: str = NO_REFS
    next_update_by: str | None = None
    leased_until: datetime | None = None

    @property
    def promise_news(self) -> dict[str, object]:
        """Fields of `notice.sent`: the promises announced or broken, and the day of the next update."""
        announces = json.loads(self.announces) if self.announces != NO_REFS else ()
        supersedes = json.loads(self.supersedes) if self.supersedes != NO_REFS else ()
        return {"announces": announces, "supersedes": supersedes, "next_update_by": self.next_update_by}


# Claims due notices; rows claimed by another sender are skipped. The notices of an order are sent in sequence: a due
# notice waits until earlier due ones are settled. A withdrawn notice neither waits nor is waited for, unless it is
# being sent already. Batched notices are sent together, so they do not wait for each other. `IS TRUE` keeps the planner
# from reading all due rows for each row, `LATERAL` with a limit from reading all preferences: plans made on empty
# tables did so permanently. An attempt without a recorded channel went by mail. Messages are counted only where the
# daily limit could defer the notice.
_CLAIM = """
    WITH due AS (
        SELECT n.notice_id,
               coalesce(n.started_channel, CASE WHEN n.status = 'sending' OR n.attempts > 0 THEN 'email' END) AS started
        FROM notices n LEFT JOIN contacts c USING (order_id)
        WHERE n.settled_at IS NULL AND n.due_at <= $1 AND n.kind = ANY ($8)
          AND (n.wait_until IS NULL OR n.wait_until <= clock_timestamp())
          AND (c.order_id IS NOT NULL OR n.withdrawn_cause IS NOT NULL OR n.contact_by <= $1)
          AND (n.withdrawn_cause IS NOT NULL OR NOT EXISTS (
              SELECT 1 FROM notices e
              WHERE e.order_id = n.order_id AND e.sequence < n.sequence AND NOT (e.batched AND n.batched)
                AND e.kind = ANY ($8)
                AND (e.settled_at IS NULL) IS TRUE AND (e.due_at <= $1) IS TRUE
                AND (e.withdrawn_cause IS NULL OR e.status = 'sending')))
        ORDER BY n.due_at, n.sequence LIMIT $2 FOR UPDATE OF n SKIP LOCKED),
    claimed AS (
        UPDATE notices n SET status = 'sending', attempts = attempts + 1, wait_until = clock_timestamp() + $3
        FROM due WHERE n.notice_id = due.notice_id
        RETURNING n.notice_id, n.order_id, n.customer_id, n.issue_id, n.kind, n.facts, n.promised_date, n.attempts,
                  n.withdrawn_cause, n.trace, n.failed_channels, n.batched, n.batch_id, n.announces,
                  n.supersedes, n.due_at, n.sequence, n.wait_until, n.address_digest, due.started)
    SELECT n.notice_id, n.order_id, n.customer_id, n.issue_id, n.kind, n.facts, n.promised_date, n.attempts,
           n.withdrawn_cause, n.trace, n.failed_channels, n.batched, n.batch_id, n.announces, n.supersedes,
           n.started, n.facts ->> 'next_update_by' AS next_update_by, n.wait_until,
           c.order_id AS contact_order_id, a.is_recipient, a.is_former, a.name, a.email,
           coalesce(p.language, a.language) AS contact_language, a.phone AS contact_phone,
           c.sealed AS contact_sealed, p.phone, p.line_user_id, p.sealed, p.channels,
           CASE WHEN NOT a.is_recipient THEN c.last_purchased_item END AS last_purchased_item,
           CASE WHEN n.kind = ANY ($4) AND NOT n.batched AND n.withdrawn_cause IS NULL THEN (
               SELECT count(DISTINCT coalesce(h.batch_id, h.notice_id)) FROM notices h
               WHERE h.customer_id = n.customer_id AND h.status = 'sent'
                 AND h.settled_at > $1 - interval '1 day') ELSE 0 END AS recent_messages,
           CASE WHEN n.batch_id IS NOT NULL THEN (
               SELECT count(*) FROM notices t
               WHERE t.batch_id = n.batch_id AND (t.settled_at IS NULL) IS TRUE
                 AND t.withdrawn_cause IS NULL) END AS notices_in_batch,
           ARRAY(SELECT s.channel FROM suppressed_addresses s WHERE (s.channel, s.digest) IN (
               ('email', keyed_digest($5, coalesce(a.email_digest, sha256(convert_to(lower(a.email), 'UTF8'))))),
               ('sms', keyed_digest($5, coalesce(
                   p.phone_digest, sha256(convert_to(lower(coalesce(p.phone, a.phone)), 'UTF8')), a.phone_digest))),
               ('line', keyed_digest($5, coalesce(
                   p.line_digest, sha256(convert_to(lower(p.line_user_id), 'UTF8'))))))) AS suppressed,
           CASE WHEN n.kind = ANY ($6) THEN ARRAY(
               SELECT s.channel FROM (
                   SELECT DISTINCT ON (t.channel) t.channel, t.granted FROM consents t
                   WHERE t.customer_id = n.customer_id AND t.purpose = $7
                   ORDER BY t.channel, t.stated_at DESC, t.granted) AS s WHERE s.granted) END AS consents
    FROM claimed n LEFT JOIN contacts c ON c.order_id = n.order_id AND (c.customer_id = n.customer_id) IS TRUE
    CROSS JOIN LATERAL (
        SELECT g.is_recipient, g.is_former,
               CASE WHEN g.is_former OR g.is_recipient THEN g.other ->> 'name' ELSE c.name END AS name,
               CASE WHEN g.is_former OR g.is_recipient THEN g.other ->> 'email' ELSE c.email END AS email,
               CASE WHEN g.is_former OR g.is_recipient THEN g.other ->> 'language' ELSE c.language END AS language,
               CASE WHEN g.is_former OR g.is_recipient THEN g.other ->> 'phone' ELSE c.phone END AS phone,
               CASE WHEN g.is_former THEN n.address_digest WHEN g.is_recipient THEN c.recipient_email_digest
                    ELSE c.email_digest END AS email_digest,
               CASE WHEN g.is_former THEN NULL WHEN g.is_recipient THEN c.recipient_phone_digest
                    ELSE c.phone_digest END AS phone_digest
        FROM (SELECT n.facts ? 'for_recipient' AS is_recipient, n.facts ? 'for_former' AS is_former,
                     CASE WHEN n.facts ? 'for_former' THEN c.former -> n.notice_id::text
                          WHEN n.facts ? 'for_recipient' THEN c.recipient END AS other) AS g) AS a
    LEFT JOIN LATERAL (
        SELECT p.language, p.phone, p.line_user_id, p.channels, p.sealed, p.phone_digest, p.line_digest
        FROM preferences p
        WHERE p.customer_id = n.customer_id AND NOT a.is_recipient AND NOT a.is_former LIMIT 1) AS p ON true
    ORDER BY n.due_at, n.sequence"""


async def claim_notices(conn: Connection, now: datetime, limit: int, lease: timedelta) -> list[ClaimedNotice]:
    """Claim up to `limit` due notices for the duration of the lease (wall clock).

    At most one per order, except for batched notices, which are sent together.
    """
    keys = keys_of(conn)
    parameters = (now, limit, lease, COUNTED, keys.lookup_key, ADVERTISING, ConsentPurpose.LOYALTY, KNOWN)
    rows = await conn.fetch(_CLAIM, *parameters)
    replies = await reply_texts.read_facts(conn, rows)
    return [
        ClaimedNotice(
            row["notice_id"],
            row["order_id"],
            row["customer_id"],
            row["issue_id"],
            row["kind"],
            replies.get(row["notice_id"], row["facts"]),
            row["promised_date"],
            row["attempts"],
            row["withdrawn_cause"],
            _contact(row, keys) if row["contact_order_id"] else None,
            row["trace"],
            row["started"] or "",
            tuple(row["failed_channels"] or ()),
            row["recent_messages"],
            row["batched"],
            row["batch_id"],
            row["notices_in_batch"],
            row["announces"],
            row["supersedes"],
            row["next_update_by"],
            row["wait_until"],
        )
        for row in rows
    ]


def _contact(row: Any, keys: ColumnKeys) -> RecipientContact:
    person: Mapping[str, Any] = {"name": row["name"], "email": row["email"], "phone": row["contact_phone"]}
    if sealed := row["contact_sealed"]:
        stored = keys.open_json(contacts.TABLE, sealed)
        person = contacts.addressee(
            stored, row["notice_id"], is_recipient=row["is_recipient"], is_former=row["is_former"]
        )
    line_user_id, phone = line_and_phone(row["line_user_id"], row["phone"], row["sealed"], keys)
    return RecipientContact(
        person.get("name") or "",
        person.get("email"),
        language_of(row["contact_language"] or person.get("language") or "ja"),
        phone or person.get("phone"),
        line_user_id,
        tuple(row["channels"] or ()),
        frozenset(row["suppressed"]),
        row["last_purchased_item"],
        consents=frozenset(row["consents"] or ()),
    )


@dataclass(frozen=True, slots=True)
class StartedNotice:
    """The channel (and batch) of an attempt, recorded before the message is sent."""

    notice_id: UUID
    channel: str
    batch_id: UUID | None = None


async def mark_started(conn: Connection, started: Sequence[StartedNotice]) -> None:
    """Record these attempts; mail without a batch is the default and needs no row change."""
    values = [
        (each.notice_id, each.channel, each.batch_id) for each in started if each.channel != "email" or each.batch_id
    ]
    if values:
        await conn.execute(
            """UPDATE notices n SET started_channel = s.channel, batch_id = s.batch_id
               FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS s (notice_id, channel, batch_id)
               WHERE n.notice_id = s.notice_id""",
            *columns(values),
        )
