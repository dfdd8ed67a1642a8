"""Retry policy: the result of a send attempt from its outcome and the remaining channels. Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TypeAlias

from libs.common.decisions.backoff import backoff_seconds
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeFailed, NoticeKind, NoticeSent, NoticeSuppressed
from services.delivery_notify.channels.channel import SendOutcome, SendStatus
from services.delivery_notify.domain.routing import Route
from services.delivery_notify.store.notice_outcomes import Completed, Deferred, FellBack, Rescheduled
from services.delivery_notify.store.notice_queue import ClaimedNotice

MAX_ATTEMPTS = 20
INITIAL_BACKOFF = timedelta(seconds=5)
MAX_BACKOFF = timedelta(hours=1)
"""With these limits a channel fails for good after about ten hours of temporary failures."""

MAX_BLOCKED_ATTEMPTS = 100
"""Limit while a server refuses mail from ours: about four days, in which staff can get us off a block list."""

NoticeResult: TypeAlias = Completed | Rescheduled | FellBack | Deferred

_KINDS = frozenset(NoticeKind)
_NOT_ATTEMPTED = (SendStatus.CHANNEL_UNAVAILABLE, SendStatus.NOT_ATTEMPTED)


def backoff(attempt: int, jitter: float) -> timedelta:
    """Return the exponential backoff after failure number `attempt` (from 1); `jitter` 0 halves it, 1 keeps it."""
    first, longest = INITIAL_BACKOFF.total_seconds(), MAX_BACKOFF.total_seconds()
    return timedelta(seconds=backoff_seconds(first, attempt - 1, longest=longest, jitter=jitter))


@dataclass(frozen=True, slots=True)
class SendAttempt:
    """Notice handed to a channel, with the outcome. `alternatives` are the channels that remain for this customer."""

    notice: ClaimedNotice
    route: Route
    channel_name: str
    outcome: SendOutcome
    alternatives: Collection[str] = ()

    def result(self, jitter: float, breaker_wait: timedelta) -> NoticeResult:
        """Return the next state of the notice; `breaker_wait` is the time until its channel is probed again."""
        notice, outcome = self.notice, self.outcome
        if outcome.status == SendStatus.SENT:
            language = notice.contact.language if notice.contact else None
            return Completed(notice.notice_id, "sent", self.channel_name, language, address=self.route.address)
        cause = outcome.cause or "unknown"
        if outcome.status in _NOT_ATTEMPTED:
            return Rescheduled(notice.notice_id, cause, breaker_wait, counts=False)
        if outcome.blocked and self.alternatives:
            return FellBack(notice.notice_id, self.route.channel, cause)
        limit = MAX_BLOCKED_ATTEMPTS if outcome.blocked else MAX_ATTEMPTS
        if outcome.status == SendStatus.TEMPORARY_FAILURE and notice.attempts < limit:
            requested = timedelta(seconds=outcome.retry_after or 0)
            return Rescheduled(notice.notice_id, cause, max(requested, backoff(notice.attempts, jitter)))
        if outcome.status == SendStatus.TEMPORARY_FAILURE:
            cause = f"given up after {notice.attempts} attempts: {cause}"
        if self.alternatives:
            return FellBack(notice.notice_id, self.route.channel, cause)
        return Completed(notice.notice_id, "failed", self.channel_name, cause=cause)


def event_for(notice: ClaimedNotice, completed: Completed, now: datetime) -> Payload | None:
    """Return the event for a completed notice; None for a kind written by a newer version."""
    if notice.kind not in _KINDS:
        return None
    fields: dict[str, object] = {
        "order_id": notice.order_id,
        "customer_id": notice.customer_id,
        "issue_id": notice.issue_id,
        "notice_id": notice.notice_id,
        "kind": notice.kind,
    }
    match completed.status:
        case "suppressed":
            fields |= {"cause": completed.cause or "unknown", "suppressed_at": now}
            return NoticeSuppressed.model_validate(fields)
        case "sent":
            fields |= {
                "channel": completed.channel,
                "language": completed.language,
                "sent_at": now,
                **notice.promise_news,
            }
            fields["promised_date"] = notice.promised_date
            return NoticeSent.model_validate(fields)
        case _:
            fields |= {"channel": completed.channel, "cause": completed.cause or "unknown", "failed_at": now}
            return NoticeFailed.model_validate(fields)
