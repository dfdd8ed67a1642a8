"""Publication of lost events through the outboxes of their authors.

Repetition is harmless: an archived event keeps its id, so that the inbox drops it where it was applied; a rebuilt one
has an id derived from its business ids, by which readers recognize what they know already.
"""

from collections.abc import Iterable, Mapping

from deploy.reconciliation.discrepancies import Discrepancy, Republication, rebuilt
from libs.common.events.registry import AnyEvent, encode
from libs.common.messaging import outbox
from libs.common.messaging.outbox import OutboxRow
from libs.common.postgres.pool import Connection
from services.intake.store.reconciliation import rebuild_acceptance


async def publish_again(
    connections: Mapping[str, Connection], findings: Iterable[Discrepancy], prefix: str = ""
) -> int:
    """Write each event once to the outbox of its author, in the order of the findings; return how many."""
    wanted = {each.redrive.key: each.redrive for each in findings if each.redrive}
    for each in wanted.values():
        conn = connections[each.author]
        async with conn.transaction():
            await outbox.write(conn, [_row(await _event(conn, each), prefix)])
    return len(wanted)


async def _event(conn: Connection, wanted: Republication) -> AnyEvent:
    if wanted.event:
        return wanted.event
    accepted = await rebuild_acceptance(conn, wanted.issue_id)
    event = rebuilt(wanted.author, wanted.issue_id, accepted, accepted.accepted_at, wanted.issue_id).event
    assert event is not None, "`rebuilt` returns an event"
    return event


def _row(event: AnyEvent, prefix: str) -> OutboxRow:
    payload = event.data
    topic = payload.TOPIC
    return OutboxRow(prefix + topic.name, payload.key, encode(event), type=payload.TYPE, personal=topic.personal)
