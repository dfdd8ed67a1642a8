"""One decision under way: the account as it becomes, and the facts so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Ignored, SetTimer
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import GrantKind
from services.loyalty.domain.award import Award
from services.loyalty.domain.holdout import NOBODY, Holdout
from services.loyalty.ledger.accounts import Account, Entry, Kind, Lot, Membership, Place, Purse, Withheld, lot_id_of
from services.loyalty.policy.award_rules import AwardRules

TOKYO = ZoneInfo("Asia/Tokyo")


@dataclass(frozen=True, slots=True)
class Terms:
    """By what the ledger decides: rules, the shop's days, and which customers are held out of points."""

    rules: AwardRules
    zone: ZoneInfo = TOKYO
    holdout: Holdout = NOBODY

    def day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def begin_of(self, day: date) -> datetime:
        """Midnight at which this day begins in the shop."""
        return datetime.combine(day, datetime.min.time(), self.zone)


@dataclass(slots=True)
class LedgerDecision:
    terms: Terms
    account: Account
    now: datetime
    facts: list[Fact] = field(default_factory=list)

    @property
    def today(self) -> date:
        return self.terms.day(self.now)

    @property
    def rules(self) -> AwardRules:
        return self.terms.rules

    def say(self, *facts: Fact) -> None:
        self.facts.extend(facts)

    def ignore(self, reason: str) -> None:
        self.say(Ignored(reason))

    def wonder(self, reason: str, detail: str) -> None:
        self.say(Anomaly(reason, detail))

    def wake(self, name: str, at: datetime) -> None:
        self.say(SetTimer(name, at))

    def forget(self, name: str) -> None:
        self.say(CancelTimer(name))

    def grant(self, award: Award, cause: str, what: GrantKind, text: str, **named: Any) -> Lot:
        """A new lot, pending where `award` has a hold, else to be spent at once."""
        expires_on = self.today + timedelta(days=award.hold_days + award.validity_days)
        lot = Lot(
            lot_id_of(cause),
            cause,
            what,
            Purse(),
            self.now,
            expires_on,
            award.counts_for_tier,
            named.get("issue_id"),
            named.get("order_id"),
            award.points,
            award.inputs,
        )
        self._know(lot)
        target = Place.PENDING if award.hold_days else Place.AVAILABLE
        details = {**_of_grant(award, what, expires_on), **named}
        kind = Kind.ADJUST if what is GrantKind.ADJUSTMENT else Kind.GRANT
        self.post(kind, lot, Place.ISSUED, target, award.points, cause, text, **details)
        return self.account.lots[cause]

    def post(
        self, kind: Kind, lot: Lot, source: Place, target: Place, points: int, cause: str, text: str, **named: Any
    ) -> Entry:
        """The next entry of the ledger, and the account after it."""
        first = kind in (Kind.GRANT, Kind.ADJUST) and source is Place.ISSUED
        entry = Entry(
            lot.lot_id if first else derived_id("entry", kind, cause, lot.lot_id, source),
            self.account.customer_id,
            self.account.number + 1,
            kind,
            cause,
            lot.lot_id,
            source,
            target,
            points,
            self.now,
            text,
            **{"issue_id": lot.issue_id, "order_id": lot.order_id, **named},
        )
        self.account = replace(
            self.account, number=entry.number, purse=self.account.purse.moved(source, target, points)
        )
        current = self.account.lots[lot.cause]
        self._know(replace(current, purse=current.purse.moved(source, target, points)))
        self.say(entry)
        return entry

    def withhold(self, withheld: Withheld) -> None:
        self.account = replace(self.account, withheld={**self.account.withheld, withheld.cause: withheld})
        self.say(withheld)

    def adjusted(self, adjustment_id: UUID) -> None:
        """This adjustment was made: it is not made again."""
        self.account = replace(self.account, adjusted=self.account.adjusted | {adjustment_id})

    def become(self, membership: Membership) -> None:
        self.account = replace(self.account, membership=membership)
        self.say(membership)

    def _know(self, lot: Lot) -> None:
        self.account = replace(self.account, lots={**self.account.lots, lot.cause: lot})


def _of_grant(award: Award, what: GrantKind, expires_on: date) -> Mapping[str, Any]:
    return {
        "what": what,
        "rule": award.rule,
        "rule_version": award.version,
        "legal_basis": award.legal_basis,
        "counts_for_tier": award.counts_for_tier,
        "expires_on": expires_on,
        "inputs": award.inputs_text(),
    }
