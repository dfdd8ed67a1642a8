"""Rules of ledger decisions: award rules, the shop's time zone, and the holdout experiment."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.loyalty.domain.holdout import NO_HOLDOUT, Holdout
from services.loyalty.policy.award_rules import AwardRules

TOKYO = ZoneInfo("Asia/Tokyo")


@dataclass(frozen=True, slots=True)
class LedgerRules:
    award: AwardRules
    zone: ZoneInfo = TOKYO
    holdout: Holdout = NO_HOLDOUT

    def local_date(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def start_of_day(self, day: date) -> datetime:
        """Midnight at the start of this day in the shop's time zone."""
        return datetime.combine(day, datetime.min.time(), self.zone)
