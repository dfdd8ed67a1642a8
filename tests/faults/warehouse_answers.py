"""Answers to replacement orders, of the warehouse and the carrier of its parcels: pure, drawn from the subject."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.events import carrier, warehouse
from libs.common.events.envelope import Payload
from libs.common.events.values import LineQuantity, RawStatus, Variant
from tests.faults.answers import PartnerAnswer, PartnerAnswers

SPLIT_SHARE, SCANNED_SHARE, EXCEPTION_SHARE = 0.5, 0.3, 0.06


def to_replacement(
    data: dict[str, Any], attempt: int, rng: random.Random, now: datetime, zone: ZoneInfo
) -> PartnerAnswers:
    """Most are confirmed, shipped and delivered; some are late, some out of stock at the first request."""
    return list(_Replacement(data, rng, now, now.astimezone(zone).date()).answers(attempt))


@dataclass(frozen=True, slots=True)
class _Replacement:
    data: dict[str, Any]
    rng: random.Random
    now: datetime
    today: date

    @property
    def ids(self) -> dict[str, Any]:
        return {"issue_id": self.data["issue_id"], "replacement_id": self.data["replacement_id"]}

    def answers(self, attempt: int) -> Iterator[PartnerAnswer]:
        chance = self.rng.random()
        if attempt == 1 and chance < 0.1:
            yield self._rejected(chance)
            return
        yield from self._promised(chance)
        lines = [LineQuantity(line_id=line["line_id"], quantity=line["quantity"]) for line in self.data["lines"]]
        if len(lines) == 1 and lines[0].quantity > 1 and self.rng.random() < SPLIT_SHARE:
            yield from self._split(lines[0])
            return
        chance = self.rng.random()
        if chance < 0.1:
            yield from self._left_behind()
        elif chance < 0.2:
            yield from self._parcel("", numbered_later=True)
        else:
            yield from self._parcel("")

    def _rejected(self, chance: float) -> PartnerAnswer:
        """Out of stock: with a date in two days or a month, with another colour, or with neither."""
        if chance < 0.06:
            restock = self.today + timedelta(days=self.rng.choice((2, 30)))
            return PartnerAnswer("rejected", warehouse.ReplacementRejected(**self.ids, restock_date=restock))
        line = self.data["lines"][0]
        other = (Variant(sku=f"{line['sku']}-B", name="南部鉄器 急須(紺)"),) if chance < 0.09 else ()
        return PartnerAnswer("rejected", warehouse.ReplacementRejected(**self.ids, variants=other))

    def _promised(self, chance: float) -> Iterator[PartnerAnswer]:
        promised = date.fromisoformat(self.data["promised_ship_date"])
        late = warehouse.ReplacementDelayed(**self.ids, ship_date=promised + timedelta(days=2), cause="supplier")
        if chance >= 0.14:
            yield PartnerAnswer("promised", warehouse.ReplacementConfirmed(**self.ids, ship_date=promised))
        if chance < 0.2:
            yield PartnerAnswer("delayed", late)
        if chance < 0.12:
            later = late.model_copy(update={"ship_date": promised + timedelta(days=4)})
            yield PartnerAnswer("delayed-again", later)

    def _split(self, line: LineQuantity) -> Iterator[PartnerAnswer]:
        """One unit in a parcel of its own, or out of stock."""
        one = (line.model_copy(update={"quantity": 1}),)
        others = (line.model_copy(update={"quantity": line.quantity - 1}),)
        if self.rng.random() < 0.3:
            restock = self.today + timedelta(days=3)
            yield PartnerAnswer("short", warehouse.ReplacementRejected(**self.ids, lines=one, restock_date=restock))
            yield from self._parcel("1", lines=others)
            return
        first, second = list(self._parcel("1", lines=others)), list(self._parcel("2", lines=one))
        if self.rng.random() < 0.5:  # both leave before either arrives
            first, second = [first[0], second[0], *first[1:]], second[1:]
        yield from first
        yield from second

    def _left_behind(self) -> Iterator[PartnerAnswer]:
        """The parcel did not leave after all; another one does."""
        first = self._shipped("1", 0)
        off = warehouse.ReplacementShipmentChanged(
            **self.ids, shipment_id="parcel-1", changed_at=self._at(1), called_off=True, cause="left_behind"
        )
        yield PartnerAnswer("shipped-1", first)
        yield PartnerAnswer("called-off", off)
        yield from self._parcel("2", after=2)

    def _parcel(
        self,
        number: str,
        *,
        lines: tuple[LineQuantity, ...] | None = None,
        after: int = 0,
        numbered_later: bool = False,
    ) -> Iterator[PartnerAnswer]:
        """A parcel that leaves and arrives; its delivery is an event, or scans of the carrier, one of them late."""
        shipped = self._shipped(number, after, lines)
        ids: dict[str, Any] = {**self.ids, "shipment_id": shipped.shipment_id}
        if numbered_later:
            tracked = warehouse.ReplacementShipmentChanged(
                **ids, changed_at=self._at(after + 1), carrier="yamato", tracking_number=self._tracking(number)
            )
            yield PartnerAnswer(f"shipped-{number}", shipped.model_copy(update={"tracking_number": None}))
            yield PartnerAnswer(f"numbered-{number}", tracked)
        else:
            yield PartnerAnswer(f"shipped-{number}", shipped)
        if self.rng.random() < EXCEPTION_SHARE:
            late = {"code": "delayed_in_transit", "expected_delivery_date": self.today + timedelta(days=1)}
            mishap = carrier.ParcelException(**ids, **late, occurred_at=self._at(after + 2))
            yield PartnerAnswer(f"exception-{number}", mishap)
        delivered = carrier.ParcelDelivered(**ids, delivered_at=self._at(after + 3))
        if self.rng.random() >= SCANNED_SHARE:
            yield PartnerAnswer(f"delivered-{number}", delivered)
            return
        for name, code, seconds in (("out", "配達中", 2), ("arrived", "配達完了", 3), ("stale", "作業店通過", 1)):
            yield PartnerAnswer(f"scanned-{name}-{number}", self._scanned(ids, code, after + seconds))
        if self.rng.random() < 0.5:  # the same delivery by another way
            yield PartnerAnswer(f"delivered-{number}", delivered)

    def _shipped(
        self, number: str, after: int, lines: tuple[LineQuantity, ...] | None = None
    ) -> warehouse.ReplacementShipped:
        return warehouse.ReplacementShipped(
            **self.ids,
            shipped_at=self._at(after),
            expected_delivery_date=self.today,
            lines=lines,
            shipment_id=f"parcel-{number}" if number else None,
            tracking_number=self._tracking(number),
        )

    def _scanned(self, ids: dict[str, Any], code: str, seconds: int) -> Payload:
        raw = RawStatus(source="yamato", code=code)
        return carrier.ParcelScanned(**ids, raw=raw, scanned_at=self._at(seconds))

    def _tracking(self, number: str) -> str:
        return f"R-{self.data['replacement_id'][:8]}-{number}"

    def _at(self, seconds: int) -> datetime:
        return self.now + timedelta(seconds=seconds)
