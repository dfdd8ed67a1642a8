"""SQL of a rejoin: outcomes of notices that were published before the database was restored."""

from collections.abc import Sequence
from datetime import datetime

from libs.common.events.notices import NoticeFailed, NoticeSent, NoticeSuppressed
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.delivery_notify.store.promises import refs_json

NoticeOutcome = NoticeSent | NoticeFailed | NoticeSuppressed

# A notice that the backup holds as unsent was settled since. One that it does not hold gets its facts when the event
# that caused it is read again (`conversations`).
_RECORD = """
    WITH known AS (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                             $8::text[], $9::text[], $10::date[], $11::jsonb[], $12::jsonb[], $13::timestamptz[])
            AS k (notice_id, order_id, customer_id, issue_id, kind, status, channel, language, cause, promised_date,
                  announces, supersedes, at)),
    settled AS (
        INSERT INTO notices AS n (notice_id, order_id, customer_id, issue_id, kind, facts, promised_date, status,
                                  made_at, due_at, contact_by, channel, language, cause, settled_at, announces,
                                  supersedes)
        SELECT notice_id, order_id, customer_id, issue_id, kind, '{}', promised_date, status, at, at, at, channel,
               language, cause, at, announces, supersedes FROM known ORDER BY at
        ON CONFLICT (notice_id) DO UPDATE
        SET status = excluded.status, channel = excluded.channel, language = excluded.language,
            cause = excluded.cause, settled_at = excluded.settled_at, wait_until = NULL
        WHERE n.settled_at IS NULL)
    INSERT INTO promise_notifications (order_id, subject, subject_id, version, surface, notice_id, notified_at)
    SELECT k.order_id, t.subject, t.subject_id, t.version, k.channel, k.notice_id, k.at
    FROM known k CROSS JOIN jsonb_to_recordset(k.announces) AS t (subject text, subject_id text, version int)
    WHERE k.status = 'sent' ON CONFLICT DO NOTHING"""


async def record_known_notices(conn: Connection, outcomes: Sequence[NoticeOutcome]) -> None:
    """Record these outcomes, so that none of these notices is sent again."""
    newest = {outcome.notice_id: outcome for outcome in outcomes}
    if newest:
        await conn.execute(_RECORD, *columns([_row(outcome) for outcome in newest.values()], 13))


def _row(outcome: NoticeOutcome) -> tuple[object, ...]:
    ids = (outcome.notice_id, outcome.order_id, outcome.customer_id, outcome.issue_id, outcome.kind.value)
    if isinstance(outcome, NoticeSent):
        refs = (refs_json(outcome.announces), refs_json(outcome.supersedes))
        sent = ("sent", outcome.channel, outcome.language.value, None, outcome.promised_date)
        return (*ids, *sent, *refs, outcome.sent_at)
    status, channel = ("failed", outcome.channel) if isinstance(outcome, NoticeFailed) else ("suppressed", None)
    return (*ids, status, channel, None, outcome.cause, None, "[]", "[]", _settled_at(outcome))


def _settled_at(outcome: NoticeFailed | NoticeSuppressed) -> datetime:
    return outcome.failed_at if isinstance(outcome, NoticeFailed) else outcome.suppressed_at
