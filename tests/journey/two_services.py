"""The decisions of returns and delivery_notify about one issue on one clock, with the timers of both."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueEvent
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import IssueLine, Reason
from libs.common.events.warehouse import ReplacementOrdered
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import NoticeCreated
from services.delivery_notify.policy.notification_rules import load_rules
from services.returns.domain.context import CaseRules
from tests.delivery_notify.conversation_driver import ConversationDriver, placed
from tests.delivery_notify.conversation_driver import line as order_line
from tests.returns.cases import RULES, TUESDAY, CaseScenario, accepted


@dataclass
class TwoServices:
    """One issue from its report on; `warehouse` answers each new replacement order with payloads and their times."""

    warehouse: Callable[[ReplacementOrdered], list[tuple[datetime, Payload]]] = lambda _: []
    rules: CaseRules = RULES
    now: datetime = TUESDAY
    case: CaseScenario = field(init=False)
    talk: ConversationDriver = field(init=False)
    to_come: list[tuple[datetime, Payload]] = field(default_factory=list)
    ordered: dict[object, datetime] = field(default_factory=dict)
    """Time of each replacement order by its id."""
    published: list[tuple[datetime, Payload]] = field(default_factory=list)
    """Events of returns about the issue, with their times."""
    _passed_on: int = 0
    _answered: int = 0

    def __post_init__(self) -> None:
        self.case = CaseScenario(rules=self.rules, now=self.now)
        self.talk = ConversationDriver(now=self.now, rules=load_rules(self.rules.calendars))
        self.talk.handle(placed(order_line("1", None), placed_at=self.now))

    def report(self, reason: Reason, *lines: IssueLine) -> None:
        self._published(accepted(reason, *lines, at=self.now))

    def choose(self, answer: CustomerAnswered) -> None:
        """Let the customer answer a question at the present moment."""
        self.talk.now = self.now
        self.talk.handle(answer)
        self._pass_on()

    def run_until(self, end: datetime) -> None:
        """Let everything happen that is due until `end`, in the order of its time."""
        while (due := self._next()) and due[0] <= end:
            at, happen = due
            self.now = self.case.now = self.talk.now = max(self.now, at)
            happen()
            self._pass_on()

    @property
    def notices(self) -> list[NoticeCreated]:
        """The notices that leave, with mail that is instant."""
        withdrawn = self.talk.withdrawn_unsent
        return [each for each in self.talk.notices if each.notice_id not in withdrawn]

    def _next(self) -> tuple[datetime, Callable[[], object]] | None:
        found: list[tuple[datetime, int, Callable[[], object]]] = []
        if self.to_come:
            at, payload = min(self.to_come, key=lambda each: each[0])
            found.append((at, 0, lambda: self._deliver(at, payload)))
        if self.case.timers:
            found.append((min(self.case.timers.values()), 1, self.case.next_timer))
        if self.talk.timers:
            due_at = min(self.talk.timers.values())
            found.append((due_at, 2, lambda: self.talk.advance_to(due_at)))
        first = min(found, key=lambda each: each[:2], default=None)
        return (first[0], first[2]) if first else None

    def _deliver(self, at: datetime, payload: Payload) -> None:
        self.to_come.remove((at, payload))
        self.case.apply(payload)

    def _published(self, event: Payload) -> None:
        self.case.now = self.talk.now = self.now
        self.case.apply(event)
        self.talk.handle(event)
        self._pass_on()

    def _pass_on(self) -> None:
        """Hand what one service published to the other, and orders to the warehouse, until nothing is new."""
        while self._passed_on < len(self.case.facts) or self._answered < len(self.talk.facts):
            facts, self._passed_on = self.case.facts[self._passed_on :], len(self.case.facts)
            for fact in facts:
                if isinstance(fact, IssueEvent):
                    self.published.append((self.now, fact))
                    self.talk.handle(fact)
                elif isinstance(fact, ReplacementOrdered) and fact.replacement_id not in self.ordered:
                    self.ordered[fact.replacement_id] = self.now
                    self.to_come += self.warehouse(fact)
            answers, self._answered = self.talk.facts[self._answered :], len(self.talk.facts)
            for fact in answers:
                if isinstance(fact, CustomerDecided):
                    self.case.apply(fact)
