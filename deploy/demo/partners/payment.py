"""The payment provider: pays each refund at most once; one in ten fails at the first attempt."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from deploy.demo.partners.codec import ReceivedEvent, ScheduledEvent
from deploy.demo.partners.partner import Partner, PartnerTask, main, run_alone
from deploy.demo.partners.settings import PartnerSettings
from libs.common.config.settings import load
from libs.common.events.payment import RefundCompleted, RefundFailed, RefundRequested
from libs.common.events.topics import PAYMENT_ORDERS

FAILURE_SHARE = 0.1


def refund_event(request: RefundRequested, now: datetime, attempt: int, rng: random.Random) -> ScheduledEvent:
    """Within the hour: completed, or failed by a timeout, after which the same refund may be requested again."""
    at = now + timedelta(minutes=rng.randint(2, 45))
    issue_id, refund_id = request.issue_id, request.refund_id
    if attempt == 1 and rng.random() < FAILURE_SHARE:
        failed = RefundFailed(issue_id=issue_id, refund_id=refund_id, cause="bank_timeout", failed_at=at)
        return ScheduledEvent(at, f"failed-{refund_id}-{attempt}", failed)
    paid = RefundCompleted(issue_id=issue_id, refund_id=refund_id, amount=request.amount, completed_at=at)
    return ScheduledEvent(at, f"completed-{refund_id}", paid)


@dataclass
class PaymentProvider:
    partner: Partner
    requests: dict[UUID, list[str]] = field(default_factory=dict)
    paid: dict[UUID, ScheduledEvent] = field(default_factory=dict)

    def handle(self, received: ReceivedEvent) -> None:
        match received.event.data:
            case RefundRequested() as request:
                self._requested(request, received)
            case _:
                return

    def _requested(self, request: RefundRequested, received: ReceivedEvent) -> None:
        event_ids = self.requests.setdefault(request.refund_id, [])
        if received.event.id in event_ids or request.refund_id in self.paid:
            return
        event_ids.append(received.event.id)
        planned = refund_event(
            request, received.event.time, len(event_ids), self.partner.rng(request.refund_id, len(event_ids))
        )
        if isinstance(planned.payload, RefundCompleted):
            self.paid[request.refund_id] = planned
        self.partner.schedule_event(planned, received.trace)


def payment_provider(settings: PartnerSettings) -> PartnerTask:
    partner = Partner("payment", settings, (PAYMENT_ORDERS,))
    return PartnerTask(partner, PaymentProvider(partner).handle)


async def run() -> None:
    await run_alone(payment_provider(load(PartnerSettings)))


if __name__ == "__main__":
    main(run)
