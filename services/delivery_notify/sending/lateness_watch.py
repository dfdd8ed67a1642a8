"""Background loop that warns staff before the cutoff of the day of promises that are expected later than useful.

One staff notice per party and day, by its derived id, so that a restart or a second process repeats none.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time

from libs.common.messaging.signal import WakeSignal
from libs.common.runtime.service import Service
from services.delivery_notify.domain.lateness import LatenessWarning, Party, forecasts, warnings
from services.delivery_notify.domain.promise_accuracy import Dimension
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from services.delivery_notify.policy.notification_rules import NotificationRules
from services.delivery_notify.store import lateness, staff_notices

log = logging.getLogger(__name__)

POLL_SECONDS = 30.0


@dataclass
class LatenessWatch:
    service: Service
    rules: NotificationRules
    _warned: dict[Dimension, date] = field(default_factory=dict)
    _wake: WakeSignal = field(default_factory=WakeSignal)

    async def run(self) -> None:
        """Run until cancelled, every `POLL_SECONDS` and whenever a simulated clock is set."""
        self.service.clock.on_set(self._wake)
        while True:
            await self.run_once()
            await self._wake.wait(POLL_SECONDS)

    async def run_once(self) -> Sequence[LatenessWarning]:
        """Create the staff notices that are due now; return their warnings."""
        now = self.service.clock.now()
        today = self.rules.calendar.day(now)
        due = [each for each in self._cutoffs() if self._warned.get(each) != today and self._is_time(each, today, now)]
        if not due:
            return ()
        found = [each for each in await self.look(today) if each.party.dimension in due]
        async with self.service.transaction() as tx:
            await staff_notices.save(tx.conn, [_notice(each, now) for each in found])
        self._warned |= dict.fromkeys(due, today)
        for each in found:
            log.warning(
                "expected lateness by=%s due=%d expected_late=%d", each.party.dimension, each.due, each.expected_late
            )
        return found

    async def look(self, today: date) -> list[LatenessWarning]:
        """Return the warnings about promises due today, by the history so far."""
        rules, calendars = self.rules.forecast, self.rules.calendars
        async with self.service.pool.acquire() as conn:
            promises = await lateness.read_due(conn, today)
            if not promises:
                return []
            history = await lateness.read_history(conn, today - rules.history, today, calendars.shop.zone)
        return warnings(promises, forecasts(history, today, calendars, rules), calendars)

    def _cutoffs(self) -> dict[Dimension, time]:
        return {Dimension.WAREHOUSE: self.rules.ship_cutoff, Dimension.CARRIER: self.rules.delivery_cutoff}

    def _is_time(self, dimension: Dimension, today: date, now: datetime) -> bool:
        """Return whether it is shortly before the cutoff: after it the promise is overdue, and known to be so."""
        cutoff = self.rules.cutoff(today, self._cutoffs()[dimension])
        return cutoff - self.rules.forecast.lead <= now < cutoff


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
