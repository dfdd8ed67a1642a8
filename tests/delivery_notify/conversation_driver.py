"""Driver of conversations for tests: events as partners publish them, applied in order by the real `decide`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.calendars import Calendars
from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Ignored, SetTimer, TimerFired
from libs.common.decisions.ids import derived_id
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events import issues as ev
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind
from libs.common.events.registry import AnyEvent, event_class
from libs.common.events.storefront import OrderPlaced
from libs.common.events.values import (
    Address,
    Contact,
    Fault,
    IssueLine,
    Language,
    LineQuantity,
    Money,
    OrderLine,
    PaidLine,
    Reason,
    Remedy,
    TimeWindow,
)
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.decide import decide
from services.delivery_notify.domain.notices import LineExcluded, NoticeCreated, NoticesWithdrawn
from services.delivery_notify.policy.notification_rules import NotificationRules, load_rules

TOKYO = ZoneInfo("Asia/Tokyo")
CALENDAR = ShopCalendar(TOKYO)
CALENDARS = Calendars.of(CALENDAR)
RULES = load_rules(CALENDARS)
MONDAY = datetime(2027, 3, 1, 1, 0, tzinfo=UTC)
"""Monday, 1 March 2027, 10:00 in the shop."""
FRIDAY, NEXT_WEDNESDAY, NEXT_FRIDAY = date(2027, 3, 5), date(2027, 3, 10), date(2027, 3, 12)

ORDER, CUSTOMER, ISSUE, REPLACEMENT = "O-1", "C-1", derived_id("issue", 1), derived_id("replacement", 1)
PRICE = Money.model_validate({"amount": "3800", "currency": "JPY"})

F = TypeVar("F")


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """Return that hour of that day in the time zone of the shop."""
    return CALENDAR.moment(day, hour, minute)


def line(line_id: str = "1", promise: date | None = FRIDAY, **more: Any) -> OrderLine:
    known = {"line_id": line_id, "sku": f"SKU-{line_id}", "name": f"マグカップ {line_id}", "quantity": 1}
    return OrderLine.model_validate({**known, "unit_price": PRICE, "promised_ship_date": promise, **more})


def placed(*lines: OrderLine, language: Language = Language.JA, **more: Any) -> OrderPlaced:
    home = Address(name="山田 花子", postal_code="1000001", country="JP", city="千代田区", street="千代田1-1")
    contact = Contact(name="山田 花子", email="hanako@example.jp", language=language)
    known = {"order_id": ORDER, "customer_id": CUSTOMER, "placed_at": MONDAY, "lines": lines or (line(),)}
    return OrderPlaced.model_validate({**known, "contact": contact, "ship_to": home, "purchase_count": 3, **more})


def issue(kind: type[F], **more: Any) -> F:
    """Build an event of the one issue, with defaults for all fields not in `more`."""
    some: dict[str, Any] = {
        "issue_id": ISSUE,
        "order_id": ORDER,
        "customer_id": CUSTOMER,
        "reason": Reason.DEFECTIVE,
        "lines": (IssueLine(line_id="1", quantity=1, sku="SKU-1", name="マグカップ 1", unit_price=PRICE),),
        "replacement_id": REPLACEMENT,
        "remedy": Remedy.REPLACEMENT,
        "promised_ship_date": FRIDAY,
        "expected_delivery_date": NEXT_WEDNESDAY,
        "window": TimeWindow(day=NEXT_WEDNESDAY, from_hour=14, to_hour=16),
        "collection_id": derived_id("collection", 1),
        "refund_id": derived_id("refund", 1),
        "choice_id": derived_id("choice", 1),
        "earliest_date": NEXT_WEDNESDAY,
        "amount": PRICE,
        "value": PRICE,
        "fault": Fault.MERCHANT,
        "cause": "out_of_stock",
        "code": "window_closed",
        "message": "lines: the window is closed",
        "missing": ("photo",),
        "due_at": MONDAY + timedelta(days=2),
        "version": 1,
    }
    times = (
        "reported accepted ordered shipped requested collected received refunded resolved reopened cancelled rejected"
    )
    some |= {f"{name}_at": MONDAY for name in (*times.split(), "delivered")}
    if kind is ev.IssueItemReceived:
        some["lines"] = (LineQuantity(line_id="1", quantity=1),)
    if kind in (ev.IssueRefundRequested, ev.IssueRefunded):
        some["lines"] = (PaidLine(line_id="1", quantity=1, amount=PRICE),)
    wanted: Any = kind
    return wanted.model_validate({**some, **more})  # type: ignore[no-any-return]


@dataclass
class ConversationDriver:
    """Conversation under test: `handle` an event, `advance_to` a moment (timers fire in order), read its notices."""

    now: datetime = MONDAY
    state: Conversation | None = None
    facts: list[Fact] = field(default_factory=list)
    timers: dict[str, datetime] = field(default_factory=dict)
    handled: int = 0
    rules: NotificationRules = RULES
    withdrawn_unsent: set[UUID] = field(default_factory=set)
    """Notices that were withdrawn before they were sent."""
    excluded_unsent: set[tuple[UUID, str]] = field(default_factory=set)
    """Notices with the lines that were excluded from them before they were sent."""

    def handle(self, payload: Payload, subject: str | None = None) -> list[Fact]:
        self.handled += 1
        event: AnyEvent = event_class(type(payload)).model_construct(
            id=str(self.handled), source="/test", type=payload.TYPE, subject=subject, time=self.now, data=payload
        )
        self.state, facts = decide(self.state, event, self.now, self.rules)
        for fact in facts:
            if isinstance(fact, SetTimer):
                self.timers[fact.name] = fact.due_at
            elif isinstance(fact, CancelTimer):
                self.timers.pop(fact.name, None)
        self.facts += facts
        waiting = {notice.notice_id for notice in self.notices if notice.due_at > self.now}
        self.withdrawn_unsent |= waiting & self.withdrawn if of(facts, NoticesWithdrawn) else set()
        excluded = of(facts, LineExcluded)
        self.excluded_unsent |= {(each, fact.line_id) for fact in excluded for each in waiting & set(fact.notice_ids)}
        return list(facts)

    def advance_to(self, moment: datetime) -> list[Fact]:
        """Advance the clock; every timer that becomes due fires at its due time."""
        facts: list[Fact] = []
        while due := sorted((due_at, name) for name, due_at in self.timers.items() if due_at <= moment):
            due_at, name = due[0]
            del self.timers[name]
            self.now = max(self.now, due_at)
            facts += self.handle(TimerFired(name=name, due_at=due_at), ORDER)
        self.now = max(self.now, moment)
        return facts

    @property
    def conversation(self) -> Conversation:
        assert self.state is not None
        return self.state

    @property
    def notices(self) -> list[NoticeCreated]:
        return of(self.facts, NoticeCreated)

    @property
    def kinds(self) -> list[NoticeKind]:
        return [notice.kind for notice in self.notices]

    @property
    def withdrawn(self) -> set[UUID]:
        return {notice_id for fact in of(self.facts, NoticesWithdrawn) for notice_id in fact.notice_ids}

    @property
    def received(self) -> list[NoticeKind]:
        """Notices that reach the customer if mail is instant: not deferred, or not withdrawn while deferred."""
        return [n.kind for n in self.notices if n.due_at == n.made_at or n.notice_id not in self.withdrawn]


def of(facts: Sequence[Fact], kind: type[F]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


def reasons(facts: list[Fact]) -> list[str]:
    """Return the reasons of ignored events and anomalies."""
    return [fact.reason for fact in facts if isinstance(fact, Ignored | Anomaly)]


def drive(*payloads: Payload) -> ConversationDriver:
    driver = ConversationDriver()
    for payload in payloads:
        driver.handle(payload)
    return driver
