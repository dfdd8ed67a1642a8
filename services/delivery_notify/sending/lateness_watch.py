"""Background loop that warns staff before the cutoff of the day of promises that are expected later than useful.

One staff notice per party and day, by its derived id, so that a restart or a second process repeats none.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.pool import Connection
from libs.common.runtime.service import Service
from services.delivery_notify.domain.lateness import LatenessWarning, Party, forecasts, warnings
from services.delivery_notify.domain.promise_accuracy import Dimension
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from services.delivery_notify.policy.notification_rules import NotificationRules
from services.delivery_notify.store import lateness, staff_notices

log = logging.getLogger(__name__)

POLL_SECONDS = 30.0

CUTOFFS: Mapping[Dimension, Callable[[NotificationRules], time]] = {
    Dimension.WAREHOUSE: lambda rules: rules.ship_cutoff,
    Dimension.CARRIER: lambda rules: rules.delivery_cutoff,
}
"""Hour of a promised day until which each kind of party can keep its promises."""


@dataclass
class LatenessWatch:
    service: Service
    rules: NotificationRules
    _wake: WakeSignal = field(default_factory=WakeSignal)

    async def run(self) -> None:
        """Run until cancelled, every `POLL_SECONDS` and whenever a simulated clock is set."""
        self.service.clock.on_set(self._wake)
        while True:
            await self.run_once()
            await self._wake.wait(POLL_SECONDS)

    async def run_once(self) -> Sequence[LatenessWarning]:
        """Create the staff notices that are due now; return their warnings."""
        async with self.service.transaction() as tx:
            today = self.rules.calendar.day(tx.now)
            planned = {each: self._starts_at(each, today) for each in CUTOFFS}
            due = await lateness.due_checks(tx.conn, planned, tx.now)
            if not due:
                return ()
            # After the cutoff a promise is overdue, and known to be so.
            in_time = [each for each in due if planned[each] <= tx.now < self._cutoff(each, today)]
            found = [each for each in await self._look(tx.conn, today) if each.party.dimension in in_time]
            await staff_notices.save(tx.conn, [_notice(each, tx.now) for each in found])
            await lateness.plan_checks(tx.conn, {each: self._next_start(each, tx.now) for each in due})
        for each in found:
            log.warning(
                "expected lateness by=%s due=%d expected_late=%d", each.party.dimension, each.due, each.expected_late
            )
        return found

    async def _look(self, conn: Connection, today: date) -> list[LatenessWarning]:
        """Return the warnings about promises due today, by the history so far."""
        rules, calendars = self.rules.forecast, self.rules.calendars
        promises = await lateness.read_due(conn, today)
        if not promises:
            return []
        history = await lateness.read_history(conn, today - rules.history, today, calendars.shop.zone)
        return warnings(promises, forecasts(history, today, calendars, rules), calendars)

    def _next_start(self, dimension: Dimension, now: datetime) -> datetime:
        today = self.rules.calendar.day(now)
        start = self._starts_at(dimension, today)
        return start if start > now else self._starts_at(dimension, today + timedelta(days=1))

    def _starts_at(self, dimension: Dimension, day: date) -> datetime:
        return self._cutoff(dimension, day) - self.rules.forecast.lead

    def _cutoff(self, dimension: Dimension, day: date) -> datetime:
        return self.rules.cutoff(day, CUTOFFS[dimension](self.rules))


def _notice(warning: LatenessWarning, now: datetime) -> StaffNoticeCreated:
    found = warning.forecast
    facts = {
        "party": name_of(warning.party),
        "day": warning.day.isoformat(),
        "due": str(warning.due),
        "expected_late": str(warning.expected_late),
        "expected_by": warning.expected_day.isoformat(),
        "history": f"{found.late} / {found.dates}",
        "orders": ", ".join(warning.order_ids),
    }
    cause = (warning.party.dimension, warning.party.name, warning.day.isoformat())
    return StaffNoticeCreated(StaffKind.LATENESS_EXPECTED, cause, now, facts)


def name_of(party: Party) -> str:
    return f"{party.dimension} {party.name}"
