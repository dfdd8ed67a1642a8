"""Rejoin of one restored service: it reads again what it lost, and repeats nothing of it towards customers.

The inbox of the restored database does not know the events since the backup, so each is applied again. Business ids
make that harmless towards partners and other services. What is on no topic that the service reads is written before it
starts, from what the service itself published:

- notices (delivery_notify): each `notice.sent`, `notice.failed` and `notice.suppressed` since the backup is recorded as
  the outcome of its notice. A notice whose outcome was not published is sent: a customer that is not notified is worse
  than a message that arrives twice under one `Message-ID`, which most providers drop;
- consents (delivery_notify): each `customer.unsubscribed` and `customer.consent_recorded` since the backup;
- reports over HTTP and decisions of staff (intake): `services.intake.domain.restoration`;
- entries of the ledger (loyalty): `services.loyalty.domain.restoration`;
- erasures: each request since the backup is recorded, so that data of that customer is redacted from the first record.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from deploy.api.api_docs import example_app
from deploy.restore.topics import read_since, set_offsets_back
from libs.common.config.settings import ServiceSettings
from libs.common.events.customers import CustomerConsentRecorded, CustomerErasureRequested, CustomerUnsubscribed
from libs.common.events.notices import CustomerDecided, NoticeFailed, NoticeSent, NoticeSuppressed
from libs.common.events.topics import CUSTOMERS, ISSUES, LOYALTY, NOTICES, STOREFRONT_ORDERS, consumer_group
from libs.common.postgres.pool import Connection
from libs.common.privacy.erase_cli import KafkaCluster
from libs.common.privacy.erasure import Erasure, record_erasures
from services.delivery_notify.store.consents import restore_consents
from services.delivery_notify.store.known_notices import record_known_notices
from services.intake.policy.eligibility_rules import read_rules
from services.intake.settings import IntakeSettings
from services.intake.store.restoration import restore_reports
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store.restoration import restore_ledger


@dataclass(frozen=True, slots=True)
class RejoinResult:
    """Counts of a rejoin: records to read again, erasures known, and `restored` notices, reports or ledger entries.

    `lost` names what is not restored, one line each.
    """

    records: int
    erasures: int
    restored: int = 0
    lost: tuple[str, ...] = ()


async def rejoin(
    conn: Connection, cluster: KafkaCluster, service: str, since: datetime, settings: ServiceSettings | None = None
) -> RejoinResult:
    """Prepare a restored, stopped service. Raises `GroupAliveError`; a repeated call is harmless.

    `settings` are those of the service, for its rules and its time zone; None: the default ones.
    """
    app = example_app(service).state.service
    topics = [each.topic for each in app.subscriptions]
    records = await set_offsets_back(cluster, consumer_group(service, cluster.prefix), topics, since)
    requests = [event.data for event in await read_since(cluster, CUSTOMERS, since)]
    erasures = [
        Erasure(request.customer_id, request.erasure_id, request.requested_at)
        for request in requests
        if isinstance(request, CustomerErasureRequested)
    ]
    result = RejoinResult(records, len(erasures))
    async with conn.transaction():
        await record_erasures(conn, erasures)
        if restore := RESTORE.get(service):
            restored, lost = await restore(conn, cluster, since, settings or app.settings)
            result = replace(result, restored=restored, lost=lost)
    return result


Restored = tuple[int, tuple[str, ...]]


async def _notices(conn: Connection, cluster: KafkaCluster, since: datetime, settings: ServiceSettings) -> Restored:
    events = [event.data for event in await read_since(cluster, NOTICES, since)]
    outcomes = [each for each in events if isinstance(each, NoticeSent | NoticeFailed | NoticeSuppressed)]
    await record_known_notices(conn, outcomes)
    known = [event.data for event in await read_since(cluster, CUSTOMERS, since)]
    stated = [each for each in known if isinstance(each, CustomerUnsubscribed | CustomerConsentRecorded)]
    await restore_consents(conn, stated, datetime.now(UTC))
    answers = [each for each in events if isinstance(each, CustomerDecided) and not each.by_default]
    lost = [f"answer of a customer: {each.order_id} {each.choice_id} {each.choice}" for each in answers]
    return len(outcomes), tuple(lost)


async def _reports(conn: Connection, cluster: KafkaCluster, since: datetime, settings: ServiceSettings) -> Restored:
    assert isinstance(settings, IntakeSettings), "intake has settings of its own"
    issues, orders = [await read_since(cluster, topic, since) for topic in (ISSUES, STOREFRONT_ORDERS)]
    rules = read_rules(settings.calendars.shop_hours)
    restored = await restore_reports(conn, rules, issues, orders, datetime.now(UTC))
    return restored.reports, tuple(f"rejected report, whose lines are in no event: {each}" for each in restored.lost)


async def _ledger(conn: Connection, cluster: KafkaCluster, since: datetime, settings: ServiceSettings) -> Restored:
    assert isinstance(settings, LoyaltySettings), "loyalty has settings of its own"
    events = [event.data for topic in (ISSUES, LOYALTY) for event in await read_since(cluster, topic, since)]
    restored = await restore_ledger(conn, settings.ledger_rules, events)
    return restored.events, tuple(f"movement of points: {each}" for each in restored.refused)


Restore = Callable[[Connection, KafkaCluster, datetime, ServiceSettings], Awaitable[Restored]]

RESTORE: Mapping[str, Restore] = {"delivery_notify": _notices, "intake": _reports, "loyalty": _ledger}
"""Rows that a service gets from its own events. returns needs none: all of its inputs are on topics."""
