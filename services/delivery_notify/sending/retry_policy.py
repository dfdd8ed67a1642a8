"""What becomes of a claimed notice after a try: pure, from its outcome and the ways that are left."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeFailed, NoticeKind, NoticeSent, NoticeSuppressed
from services.delivery_notify.channels.channel import Outcome, Verdict
from services.delivery_notify.domain.routing import Way
from services.delivery_notify.store.notice_queue import Claimed, Kept, PutOff, Settled, Turned

MAX_ATTEMPTS = 20
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
"""With these, a way is given up after about ten hours of temporary failures."""

End: TypeAlias = Settled | PutOff | Turned | Kept

_KINDS = frozenset(NoticeKind)
_UNTRIED = (Verdict.AWAY, Verdict.NOT_TRIED)


def pause_after(attempt: int, jitter: float) -> timedelta:
    """How long to wait after the `attempt`-th failure (from 1); `jitter` between 0 and 1 takes off up to a half."""
    pause: timedelta = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt - 1, 20))
    return pause * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class Tried:
    """A notice that was handed to a channel: the way it took, what the channel is called, and how it went.

    `others` are the channels by which the customer could still be reached.
    """

    notice: Claimed
    way: Way
    channel: str
    outcome: Outcome
    others: Collection[str] = ()

    def end(self, jitter: float, rest: timedelta) -> End:
        """`rest` is how long its channel is left alone."""
        notice, outcome = self.notice, self.outcome
        if outcome.verdict == Verdict.SENT:
            language = notice.contact.language if notice.contact else None
            return Settled(notice.notice_id, "sent", self.channel, language)
        cause = outcome.cause or "unknown"
        if outcome.verdict in _UNTRIED:
            return PutOff(notice.notice_id, cause, rest, counts=False)
        if outcome.verdict == Verdict.LATER and notice.attempts < MAX_ATTEMPTS:
            asked = timedelta(seconds=outcome.retry_after or 0)
            return PutOff(notice.notice_id, cause, max(asked, pause_after(notice.attempts, jitter)))
        if outcome.verdict == Verdict.LATER:
            cause = f"given up after {notice.attempts} attempts: {cause}"
        if self.others:
            return Turned(notice.notice_id, self.way.channel, cause)
        return Settled(notice.notice_id, "failed", self.channel, cause=cause)


def event_of(notice: Claimed, settled: Settled, now: datetime) -> Payload | None:
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
    match settled.status:
        case "suppressed":
            about |= {"cause": settled.cause or "unknown", "suppressed_at": now}
            return NoticeSuppressed.model_validate(about)
        case "sent":
            about |= {"channel": settled.channel, "language": settled.language, "sent_at": now, **notice.news}
            about["promised_date"] = notice.promised_date
            return NoticeSent.model_validate(about)
        case _:
            about |= {"channel": settled.channel, "cause": settled.cause or "unknown", "failed_at": now}
            return NoticeFailed.model_validate(about)
