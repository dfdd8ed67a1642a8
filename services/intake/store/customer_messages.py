"""SQL of messages of customers and replies of staff: their subjects, and their content, encrypted by column keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep

TABLE = "customer_messages"

_ISSUE = "SELECT issue_id, order_id, customer_id FROM issues WHERE issue_id = $1"
# Of an order, the issue that is open and was reported last; closed ones only where none is open.
_ISSUE_OF_ORDER = """
    SELECT o.key AS order_id, o.body #>> '{purchase,customer_id}' AS customer_id,
           (SELECT i.issue_id FROM issues i WHERE i.order_id = o.key AND i.refusal_code IS NULL
            ORDER BY i.is_open DESC, i.reported_at DESC LIMIT 1) AS issue_id
    FROM orders o WHERE md5(o.key) = $1"""
_RECENT = """
    SELECT count(*) FROM customer_messages
    WHERE issue_id IS NOT DISTINCT FROM $1 AND received_at > $2 AND staff IS NULL"""
_OF_CUSTOMER = "SELECT message_id FROM customer_messages WHERE issue_id = $1 AND staff IS NULL"
_PHOTOS = "SELECT count(*) FROM evidence WHERE issue_id = $1"
_EXISTS = "SELECT EXISTS (SELECT FROM customer_messages WHERE message_id = $1)"
_INSERT = """
    INSERT INTO customer_messages (
        message_id, issue_id, order_id, customer_id, received_at, content, photos, refused_files, staff)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (message_id) DO NOTHING"""
_OF_ISSUE = "SELECT * FROM customer_messages WHERE issue_id = $1 ORDER BY received_at"
_ONE = "SELECT * FROM customer_messages WHERE message_id = $1"
_ERASE = """
    DELETE FROM customer_messages
    WHERE (issue_id = ANY($1) OR order_id = ANY($2) OR customer_id = $3) AND received_at <= $4"""
_UNMATCHED = """
    SELECT message_id, content FROM customer_messages
    WHERE customer_id IS NULL AND received_at <= $1 AND message_id > $2 ORDER BY message_id LIMIT 1000"""
_DELETE = "DELETE FROM customer_messages WHERE message_id = ANY($1)"
_FIRST = UUID(int=0)
# A message about an open issue stays as long as the issue.
_SWEEP = """
    DELETE FROM customer_messages WHERE message_id IN (
        SELECT m.message_id FROM customer_messages m LEFT JOIN issues i USING (issue_id)
        WHERE m.received_at < $1 AND (i.issue_id IS NULL OR (NOT i.is_open AND i.lifecycle_at < $1)) LIMIT $2)"""


@dataclass(frozen=True, slots=True)
class MessageSubject:
    """Issue, order and customer of a message; all are empty where the issue is not known."""

    issue_id: UUID | None = None
    order_id: str | None = None
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class MessageContent:
    """Personal content of a message. `text` is what the writer added, `whole_text` the mail with all quotes. A reply of
    staff has no sender and no subject."""

    sender: str
    subject: str
    text: str
    whole_text: str


@dataclass(frozen=True, slots=True)
class CustomerMessage:
    """A message of a customer, or the reply of this member of staff."""

    message_id: UUID
    about: MessageSubject
    received_at: datetime
    content: MessageContent
    photos: int = 0
    refused_files: int = 0
    staff: str | None = None


def retention_sweep(days: int) -> Sweep:
    return Sweep("messages of customers", _SWEEP, days)


async def subject_of_issue(conn: Connection, issue_id: UUID) -> MessageSubject:
    row = await conn.fetchrow(_ISSUE, issue_id)
    return MessageSubject(**row) if row else MessageSubject()


async def subject_of_order(conn: Connection, digest: str) -> MessageSubject:
    """Return the order with this MD5 digest of its id, and the issue of it that a message is most likely about."""
    row = await conn.fetchrow(_ISSUE_OF_ORDER, digest)
    return MessageSubject(**row) if row else MessageSubject()


async def is_recorded(conn: Connection, message_id: UUID) -> bool:
    return bool(await conn.fetchval(_EXISTS, message_id))


async def count_since(conn: Connection, issue_id: UUID | None, since: datetime) -> int:
    """Return the number of customers' messages about an issue, or about none, after this time."""
    return int(await conn.fetchval(_RECENT, issue_id, since))


async def count_photos(conn: Connection, issue_id: UUID) -> int:
    return int(await conn.fetchval(_PHOTOS, issue_id))


async def record(conn: Connection, message: CustomerMessage) -> bool:
    """Insert a message; return false where it is there already."""
    content = keys_of(conn).seal(TABLE, to_json(message.content))
    about = message.about
    status = await conn.execute(
        _INSERT, message.message_id, about.issue_id, about.order_id, about.customer_id, message.received_at, content,
        message.photos, message.refused_files, message.staff,
    )  # fmt: skip
    return status == "INSERT 0 1"


async def messages_of_issue(conn: Connection, issue_id: UUID) -> Sequence[CustomerMessage]:
    return [_message(conn, row) for row in await conn.fetch(_OF_ISSUE, issue_id)]


async def ids_of_customer(conn: Connection, issue_id: UUID) -> list[UUID]:
    """Return the ids of the messages that customers wrote about an issue."""
    return [row["message_id"] for row in await conn.fetch(_OF_CUSTOMER, issue_id)]


async def find_message(conn: Connection, message_id: UUID) -> CustomerMessage | None:
    row = await conn.fetchrow(_ONE, message_id)
    return _message(conn, row) if row else None


async def erase_messages(
    conn: Connection, issues: Sequence[UUID], orders: Sequence[str], customer_id: str, until: datetime
) -> None:
    await conn.execute(_ERASE, issues, orders, customer_id, until)


async def erase_unmatched(conn: Connection, addresses: Collection[str], until: datetime) -> list[UUID]:
    """Delete messages of no known order that came from these mail addresses; return their ids.

    Senders are encrypted, so all such messages are read: erasures are rare, and these messages are few.
    """
    if not addresses:
        return []
    wanted, erased, after = {each.casefold() for each in addresses}, list[UUID](), _FIRST
    while rows := await conn.fetch(_UNMATCHED, until, after):
        contents = [(row["message_id"], from_json(keys_of(conn).reveal(TABLE, row["content"]))) for row in rows]
        erased += [message_id for message_id, content in contents if content["sender"].casefold() in wanted]
        after = rows[-1]["message_id"]
    await conn.execute(_DELETE, erased)
    return erased


def _message(conn: Connection, row: asyncpg.Record) -> CustomerMessage:
    content = from_json(keys_of(conn).reveal(TABLE, row["content"]))
    return CustomerMessage(
        row["message_id"],
        MessageSubject(row["issue_id"], row["order_id"], row["customer_id"]),
        row["received_at"],
        MessageContent(**content),
        row["photos"],
        row["refused_files"],
        row["staff"],
    )
