"""Rejoin of one restored service: it reads again what it lost, and repeats nothing of it towards customers.

The inbox of the restored database does not know the events since the backup, so each is applied again. Business ids
make that harmless towards partners and other services. Two things are not derived from topics that the service reads,
and are written before it starts:

- notices (delivery_notify): each `notice.sent`, `notice.failed` and `notice.suppressed` since the backup is recorded as
  the outcome of its notice. A notice whose outcome was not published is sent: a customer that is not notified is worse
  than a message that arrives twice under one `Message-ID`, which most providers drop;
- erasures: each request since the backup is recorded, so that data of that customer is redacted from the first record.

intake and loyalty are refused: reports and redemptions over HTTP are on no topic that they read.
"""

from dataclasses import dataclass
from datetime import datetime

from deploy.api.api_docs import example_app
from deploy.restore.topics import read_since, set_offsets_back
from libs.common.events.customers import CustomerErasureRequested
from libs.common.events.notices import CustomerDecided, NoticeFailed, NoticeSent, NoticeSuppressed
from libs.common.events.topics import CUSTOMERS, NOTICES, consumer_group
from libs.common.postgres.pool import Connection
from libs.common.privacy.erase_cli import KafkaCluster
from libs.common.privacy.erasure import Erasure, record_erasures
from services.delivery_notify.store.known_notices import record_known_notices

SUPPORTED = ("returns", "delivery_notify")


@dataclass(frozen=True, slots=True)
class RejoinResult:
    """Counts of a rejoin; `answers` are the choices of customers since the backup, which are not restored."""

    records: int
    erasures: int
    notices: int = 0
    answers: tuple[str, ...] = ()


async def rejoin(conn: Connection, cluster: KafkaCluster, service: str, since: datetime) -> RejoinResult:
    """Prepare a restored, stopped service. Raises `GroupAliveError`; a repeated call is harmless."""
    topics = [each.topic for each in example_app(service).state.service.subscriptions]
    records = await set_offsets_back(cluster, consumer_group(service, cluster.prefix), topics, since)
    requests = [event.data for event in await read_since(cluster, CUSTOMERS, since)]
    erasures = [
        Erasure(request.customer_id, request.erasure_id, request.requested_at)
        for request in requests
        if isinstance(request, CustomerErasureRequested)
    ]
    async with conn.transaction():
        await record_erasures(conn, erasures)
        if service != "delivery_notify":
            return RejoinResult(records, len(erasures))
        events = [event.data for event in await read_since(cluster, NOTICES, since)]
        outcomes = [each for each in events if isinstance(each, NoticeSent | NoticeFailed | NoticeSuppressed)]
        await record_known_notices(conn, outcomes)
    answers = [each for each in events if isinstance(each, CustomerDecided) and not each.by_default]
    lost = tuple(f"{each.order_id} {each.choice_id} {each.choice}" for each in answers)
    return RejoinResult(records, len(erasures), len(outcomes), lost)
