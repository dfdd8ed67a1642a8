"""Decision context of delivery_notify: the conversation of one order while one event is decided."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from libs.common.decisions.context import DecisionContext
from libs.common.decisions.facts import Anomaly
from libs.common.events.registry import AnyEvent
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.issue_thread import IssueThread
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.policy.notification_rules import NotificationRules


@dataclass(slots=True)
class ConversationDecision(DecisionContext[Conversation, NotificationRules]):
    """The conversation as it becomes, the time, the notification rules, and the facts collected so far."""

    event: AnyEvent | None = None

    @property
    def today(self) -> date:
        """The present day in the shop."""
        return self.rules.calendar.day(self.now)

    def anomaly(self, reason: str, detail: str = "") -> None:
        """Record that the event should not have happened, with the order of this conversation."""
        self.facts.append(Anomaly(reason, detail, order_id=self.state.order_id))

    def put_line(self, line: Line) -> None:
        self.state = self.state.with_lines((line,))

    def put_lines(self, lines: Iterable[Line]) -> None:
        self.state = self.state.with_lines(lines)

    def put_thread(self, thread: IssueThread) -> None:
        self.state = self.state.with_thread(thread)
