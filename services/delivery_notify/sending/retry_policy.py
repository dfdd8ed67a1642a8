"""What becomes of a claimed notice after a try: pure, from its outcome and the ways that are left."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeFailed, NoticeKind, NoticeSent, NoticeSuppressed
from services.delivery_notify.channels.channel import SendOutcome, SendStatus
from services.delivery_notify.domain.routing import Route
from services.delivery_notify.store.notice_queue import ClaimedNotice, Completed, Deferred, FellBack, Rescheduled

MAX_ATTEMPTS = 20
INITIAL_BACKOFF = timedelta(seconds=5)
MAX_BACKOFF = timedelta(hours=1)
"""With these, a way is given up after about ten hours of temporary failures."""

NoticeResult: TypeAlias = Completed | Rescheduled | FellBack | Deferred

_KINDS = frozenset(NoticeKind)
_NOT_ATTEMPTED = (SendStatus.CHANNEL_UNAVAILABLE, SendStatus.NOT_ATTEMPTED)


def backoff(attempt: int, jitter: float) -> timedelta:
    """How long to wait after the `attempt`-th failure (from 1); `jitter` between 0 and 1 takes off up to a half."""
    pause: timedelta = min(MAX_BACKOFF, INITIAL_BACKOFF * 2 ** min(attempt - 1, 20))
    return pause * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class SendAttempt:
    """A notice that was handed to a channel: the way it took, what the channel is called, and how it went.

    `others` are the channels by which the customer could still be reached.
    """

    notice: ClaimedNotice
    route: Route
    channel_name: str
    outcome: SendOutcome
    alternatives: Collection[str] = ()

    def result(self, jitter: float, breaker_wait: timedelta) -> NoticeResult:
        """`rest` is how long its channel is left alone."""
        notice, outcome = self.notice, self.outcome
        if outcome.status is SendStatus.SENT:
            language = notice.contact.language if notice.contact else None
            return Completed(notice.notice_id, "sent", self.channel_name, language)
        cause = outcome.cause or "unknown"
        if outcome.status in _NOT_ATTEMPTED:
            return Rescheduled(notice.notice_id, cause, breaker_wait, counts=False)
        if outcome.status is SendStatus.TEMPORARY_FAILURE and notice.attempts < MAX_ATTEMPTS:
            asked = timedelta(seconds=outcome.retry_after or 0)
            return Rescheduled(notice.notice_id, cause, max(asked, backoff(notice.attempts, jitter)))
        if outcome.status is SendStatus.TEMPORARY_FAILURE:
            cause = f"given up after {notice.attempts} attempts: {cause}"
        if self.alternatives:
            return FellBack(notice.notice_id, self.route.channel, cause)
        return Completed(notice.notice_id, "failed", self.channel_name, cause=cause)


def event_for(notice: ClaimedNotice, completed: Completed, now: datetime) -> Payload | None:
    """What to tell of an end. Of a kind that only newer code knows there is no event to tell."""
    if notice.kind not in _KINDS:
        return None
    about: dict[str, object] = {
        "order_id": notice.order_id,
        "customer_id": notice.customer_id,
        "issue_id": notice.issue_id,
        "notice_id": notice.notice_id,
        "kind": notice.kind,
    }
    match completed.status:
        case "suppressed":
            about |= {"cause": completed.cause or "unknown", "suppressed_at": now}
            return NoticeSuppressed.model_validate(about)
        case "sent":
            about |= {
                "channel": completed.channel,
                "language": completed.language,
                "sent_at": now,
                **notice.promise_news,
            }
            about["promised_date"] = notice.promised_date
            return NoticeSent.model_validate(about)
        case _:
            about |= {"channel": completed.channel, "cause": completed.cause or "unknown", "failed_at": now}
            return NoticeFailed.model_validate(about)
