"""Decision context of the points ledger: posts entries and keeps the account consistent with them."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from libs.common.decisions.context import DecisionContext
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import GrantKind
from services.loyalty.domain.award import Award
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.ledger.accounts import Balances, PointsAccount, PointsLot
from services.loyalty.ledger.causes import lot_id_of
from services.loyalty.ledger.entries import Entry, EntryKind, LedgerAccount, Membership, WithheldGrant
from services.loyalty.policy.award_rules import AwardRules


class LedgerDecision(DecisionContext[PointsAccount, LedgerRules]):
    __slots__ = ()

    @property
    def today(self) -> date:
        return self.rules.local_date(self.now)

    @property
    def award_rules(self) -> AwardRules:
        return self.rules.award

    def create_lot(self, award: Award, cause: str, kind: GrantKind, text: str, **details: Any) -> PointsLot:
        """Grant a new lot: pending if `award` has a hold, else available at once."""
        expires_on = self.today + timedelta(days=award.hold_days + award.validity_days)
        lot = PointsLot(
            lot_id_of(cause),
            cause,
            kind,
            Balances(),
            self.now,
            expires_on,
            award.counts_for_tier,
            details.get("issue_id"),
            details.get("order_id"),
            award.points,
            award.inputs,
        )
        self._put_lot(lot)
        target = LedgerAccount.PENDING if award.hold_days else LedgerAccount.AVAILABLE
        details = {**_grant_columns(award, kind, expires_on), **details}
        entry_kind = EntryKind.ADJUST if kind is GrantKind.ADJUSTMENT else EntryKind.GRANT
        self.post(entry_kind, lot, LedgerAccount.ISSUED, target, award.points, cause, text, **details)
        return self.state.lots[cause]

    def post(
        self,
        kind: EntryKind,
        lot: PointsLot,
        source: LedgerAccount,
        target: LedgerAccount,
        points: int,
        cause: str,
        text: str,
        **details: Any,
    ) -> Entry:
        """Append an entry and apply it to the balances of the account and the lot."""
        grants = kind in (EntryKind.GRANT, EntryKind.ADJUST) and source is LedgerAccount.ISSUED
        entry = Entry(
            lot.lot_id if grants else derived_id("entry", kind, cause, lot.lot_id, source),
            self.state.customer_id,
            self.state.number + 1,
            kind,
            cause,
            lot.lot_id,
            source,
            target,
            points,
            self.now,
            text,
            **{"issue_id": lot.issue_id, "order_id": lot.order_id, **details},
        )
        self.change(number=entry.number, balances=self.state.balances.transfer(source, target, points))
        current = self.state.lots[lot.cause]
        self._put_lot(replace(current, balances=current.balances.transfer(source, target, points)))
        self.emit(entry)
        return entry

    def withhold(self, withheld: WithheldGrant) -> None:
        self.change(withheld={**self.state.withheld, withheld.cause: withheld})
        self.emit(withheld)

    def record_adjustment(self, adjustment_id: UUID) -> None:
        """Remember the adjustment id, so that a repeated command is ignored."""
        self.change(adjustments=self.state.adjustments | {adjustment_id})

    def set_membership(self, membership: Membership) -> None:
        self.change(membership=membership)
        self.emit(membership)

    def _put_lot(self, lot: PointsLot) -> None:
        self.change(lots={**self.state.lots, lot.cause: lot})


def _grant_columns(award: Award, kind: GrantKind, expires_on: date) -> Mapping[str, Any]:
    return {
        "grant_kind": kind,
        "rule": award.rule,
        "rule_version": award.version,
        "legal_basis": award.legal_basis,
        "counts_for_tier": award.counts_for_tier,
        "expires_on": expires_on,
        "inputs": award.inputs_text(),
    }
