"""Answers of the benchmark's partners: records encoded once, with placeholders for the ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from libs.common.events.carrier import CollectionBooked, CollectionCollected, ParcelDelivered
from libs.common.events.envelope import Payload
from libs.common.events.payment import RefundCompleted
from libs.common.events.registry import encode, event_class, schema_name
from libs.common.events.values import Condition, InspectedLine, Money, TimeWindow
from libs.common.events.warehouse import ItemInspected, ItemReceived, ReplacementConfirmed, ReplacementShipped
from tests.bench.orders import LINE, LINES, SOURCE

_ISSUE, _SUBJECT = UUID(int=1), UUID(int=2)
_MOMENT, _DAY = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC), date(2099, 1, 3)
_MARKS = {
    str(_ISSUE).encode(): b"%(issue)s",
    str(_SUBJECT).encode(): b"%(subject_id)s",
    b"2099-01-02T03:04:05Z": b"%(now)s",
    b"2099-01-03": b"%(day)s",
    b"777777": b"%(amount)s",
}


@dataclass(frozen=True, slots=True)
class AnswerTemplate:
    """One record. `subject_id` is the id of the replacement, collection or refund."""

    topic: str
    template: bytes

    def render(
        self, issue: bytes, now: str, subject_id: str = "", day: str = "", amount: str = ""
    ) -> tuple[str, bytes]:
        """Topic and value."""
        values: Mapping[bytes, bytes] = {
            b"issue": issue,
            b"now": now.encode(),
            b"subject_id": subject_id.encode(),
            b"day": day.encode(),
            b"amount": amount.encode(),
        }
        return self.topic, self.template % values


def format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _answer(payload: Payload) -> AnswerTemplate:
    event = event_class(type(payload))(
        id=f"{payload.TYPE}-{_ISSUE}-{_SUBJECT}",
        source=f"{SOURCE}/partner",
        type=payload.TYPE,
        subject=payload.subject,
        time=_MOMENT,
        dataschema=schema_name(type(payload)),
        data=payload,
    )
    text = encode(event)
    for mark, placeholder in _MARKS.items():
        text = text.replace(mark, placeholder)
    return AnswerTemplate(payload.TOPIC.name, text)


CONFIRMED = _answer(ReplacementConfirmed(issue_id=_ISSUE, replacement_id=_SUBJECT, ship_date=_DAY))
SHIPPED = _answer(
    ReplacementShipped(
        issue_id=_ISSUE,
        replacement_id=_SUBJECT,
        shipped_at=_MOMENT,
        expected_delivery_date=_DAY,
        carrier="Bench Express",
        tracking_number=f"BX-{_ISSUE}",
    )
)
DELIVERED = _answer(ParcelDelivered(issue_id=_ISSUE, replacement_id=_SUBJECT, delivered_at=_MOMENT))
BOOKED = _answer(CollectionBooked(issue_id=_ISSUE, collection_id=_SUBJECT, window=TimeWindow(day=_DAY)))
COLLECTED = _answer(CollectionCollected(issue_id=_ISSUE, collection_id=_SUBJECT, collected_at=_MOMENT))
RECEIVED = _answer(ItemReceived(issue_id=_ISSUE, lines=LINES, received_at=_MOMENT))
INSPECTED = _answer(
    ItemInspected(
        issue_id=_ISSUE,
        lines=(InspectedLine(line_id=LINE, quantity=1, condition=Condition.REPAIRABLE),),
        inspected_at=_MOMENT,
    )
)
PAID = _answer(
    RefundCompleted(
        issue_id=_ISSUE,
        refund_id=_SUBJECT,
        amount=Money(amount=Decimal(777777), currency="JPY"),
        completed_at=_MOMENT,
    )
)
