"""Answers to collections, of the courier and of the warehouse that counts what comes back: pure, drawn by subject.

Boxes arrive with the papers of their issue, with those of the order, with a return slip, or with none; with one unit
too few or too many, with something else, and before the courier recorded them.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events import carrier, warehouse
from libs.common.events.values import Condition, TimeWindow
from tests.faults.answers import PartnerAnswer, PartnerAnswers

CONDITIONS = {Condition.SCRAP: 50, Condition.SELLABLE: 30, Condition.REPAIRABLE: 16, Condition.NOT_AS_REPORTED: 4}
ABSENT_SHARE, DECLINED_SHARE = 0.1, 0.05
MAX_EMPTY_VISITS = 3


class Box(StrEnum):
    """Papers and contents of a returned box."""

    PLAIN = "plain"
    ORDER_PAPERS = "order_papers"
    RETURN_SLIP = "return_slip"
    NO_PAPERS = "no_papers"
    UNKNOWN_ISSUE = "unknown_issue"
    UNIT_SHORT = "unit_short"
    UNIT_MORE = "unit_more"
    OTHER_ITEM = "other_item"
    COUNTED_FIRST = "counted_first"


WEIGHTS = {
    Box.PLAIN: 50,
    Box.ORDER_PAPERS: 9,
    Box.RETURN_SLIP: 9,
    Box.NO_PAPERS: 4,
    Box.UNKNOWN_ISSUE: 3,
    Box.UNIT_SHORT: 5,
    Box.UNIT_MORE: 5,
    Box.OTHER_ITEM: 5,
    Box.COUNTED_FIRST: 10,
}


def to_collection(data: dict[str, Any], rng: random.Random, now: datetime, slip: str | None = None) -> PartnerAnswers:
    """Booked, collected, received and inspected; the first request is declined or meets nobody at home sometimes."""
    return list(_Collection(data, rng, now).answers(slip))


def nothing_to_collect(data: Mapping[str, Any], now: datetime) -> PartnerAnswers:
    """The courier comes, and the customer has sent the box already; a third request is left unanswered."""
    attempt = data.get("attempt", 1)
    ids = {"issue_id": data["issue_id"], "collection_id": data["collection_id"], "attempt": attempt}
    failed = carrier.CollectionAttemptFailed(**ids, cause="sent_already", attempted_at=now)
    return [PartnerAnswer("sent-already", failed)] if attempt < MAX_EMPTY_VISITS else []


def early_box(order_id: str, quantity: int, now: datetime) -> warehouse.ItemReceived:
    """A box that a customer sent before the report: the papers name the order."""
    return warehouse.ItemReceived.model_validate(
        {
            "order_id": order_id,
            "lines": [{"line_id": "1", "quantity": quantity}],
            "received_at": now,
            "receipt_id": f"early-{order_id}",
        }
    )


def shared_box(requests: Sequence[Mapping[str, Any]], now: datetime) -> PartnerAnswers:
    """One box with the units of several issues of an order, each line with its issue."""
    name = str(requests[0]["collection_id"])
    lines = [{**unit, "issue_id": request["issue_id"]} for request in requests for unit in _units(request)]
    received = {
        "order_id": requests[0]["order_id"],
        "lines": lines,
        "received_at": now,
        "receipt_id": f"shared-{name}",
    }
    inspections = [
        PartnerAnswer(f"inspected-{request['issue_id']}", _inspected(request, Condition.SCRAP, now, None))
        for request in requests
    ]
    return [PartnerAnswer(f"received-{name}", warehouse.ItemReceived.model_validate(received)), *inspections]


@dataclass(frozen=True, slots=True)
class _Collection:
    data: dict[str, Any]
    rng: random.Random
    now: datetime

    def answers(self, slip: str | None) -> Iterator[PartnerAnswer]:
        attempt = self.data.get("attempt", 1)
        ids = {"issue_id": self.data["issue_id"], "collection_id": self.data["collection_id"]}
        if attempt == 1 and self.rng.random() < DECLINED_SHARE:
            declined = carrier.CollectionDeclined(**ids, cause="no_capacity", declined_at=self._at(1), attempt=attempt)
            yield PartnerAnswer("declined", declined)
            return
        window = TimeWindow(day=date.fromisoformat(self.data["earliest_date"]))
        yield PartnerAnswer("booked", carrier.CollectionBooked(**ids, window=window, attempt=attempt))
        if attempt == 1 and self.rng.random() < ABSENT_SHARE:
            failed = carrier.CollectionAttemptFailed(
                **ids, cause="nobody_home", attempted_at=self._at(1), attempt=attempt
            )
            yield PartnerAnswer("nobody", failed)
            return
        box = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        collected = PartnerAnswer("collected", carrier.CollectionCollected(**ids, collected_at=self._at(2)))
        received, inspected = self._counted(box, slip)
        yield from [received, collected] if box == Box.COUNTED_FIRST else [collected, received]
        yield inspected

    def _counted(self, box: Box, slip: str | None) -> tuple[PartnerAnswer, PartnerAnswer]:
        """The count and the inspection of a box."""
        receipt_id = f"gate-{self.data['collection_id']}"
        lines = _units(self.data)
        if box in (Box.UNIT_SHORT, Box.UNIT_MORE):
            more = 1 if box == Box.UNIT_MORE or lines[0]["quantity"] == 1 else -1
            lines[0]["quantity"] += more
        if box == Box.OTHER_ITEM:
            lines[0]["sku"] = "SOMETHING-ELSE"
        papers = self._papers(box, slip)
        count = {**papers, "lines": lines, "received_at": self._at(3)}
        if box != Box.PLAIN or self.rng.random() < 0.5:
            count["receipt_id"] = receipt_id
        condition = self.rng.choices(list(CONDITIONS), list(CONDITIONS.values()))[0]
        seen = {**self.data, "issue_id": papers.get("issue_id"), "lines": lines}
        inspected = _inspected(seen, condition, self._at(4), count.get("receipt_id"))
        return PartnerAnswer("received", warehouse.ItemReceived.model_validate(count)), PartnerAnswer(
            "inspected", inspected
        )

    def _papers(self, box: Box, slip: str | None) -> dict[str, Any]:
        match box:
            case Box.NO_PAPERS:
                return {}
            case Box.UNKNOWN_ISSUE:
                return {"issue_id": derived_id("unknown", self.data["collection_id"])}
            case Box.RETURN_SLIP if slip:
                return {"return_slip": slip}
            case Box.RETURN_SLIP | Box.ORDER_PAPERS:
                return {"order_id": self.data["order_id"]}
            case _:
                return {"issue_id": UUID(self.data["issue_id"])}

    def _at(self, seconds: int) -> datetime:
        return self.now + timedelta(seconds=seconds)


def _units(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{name: line[name] for name in ("line_id", "quantity", "sku") if name in line} for line in data["lines"]]


def _inspected(
    data: Mapping[str, Any], condition: Condition, now: datetime, receipt_id: str | None
) -> warehouse.ItemInspected:
    units = [{**line, "condition": condition} for line in _units(data)]
    about = {"issue_id": data["issue_id"], "receipt_id": receipt_id, "inspected_at": now}
    about["inspection_id"] = f"look-{data['collection_id']}"
    return warehouse.ItemInspected.model_validate({**about, "lines": units})
