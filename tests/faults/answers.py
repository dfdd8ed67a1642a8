"""Answers of partners: pure, drawn from the seed and the subject alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.events import carrier, payment, warehouse
from libs.common.events.envelope import Payload
from libs.common.events.values import TimeWindow


@dataclass(frozen=True, slots=True)
class PartnerAnswer:
    """A payload, and a name that is equal for the same answer: the event id is derived from it."""

    name: str
    payload: Payload


PartnerAnswers = Sequence[PartnerAnswer]


def to_replacement(
    data: dict[str, Any], attempt: int, rng: random.Random, now: datetime, zone: ZoneInfo
) -> PartnerAnswers:
    """Most are confirmed, shipped and delivered; some are late, some out of stock at the first request."""
    ids = {"issue_id": data["issue_id"], "replacement_id": data["replacement_id"]}
    promised = date.fromisoformat(data["promised_ship_date"])
    today = now.astimezone(zone).date()
    chance = rng.random()
    if attempt == 1 and chance < 0.06:
        restock = today + timedelta(days=rng.choice((2, 30)))
        return [PartnerAnswer("rejected", warehouse.ReplacementRejected(**ids, restock_date=restock))]
    if chance < 0.12:
        news: Payload = warehouse.ReplacementDelayed(**ids, ship_date=promised + timedelta(days=2), cause="supplier")
    else:
        news = warehouse.ReplacementConfirmed(**ids, ship_date=promised)
    shipped = warehouse.ReplacementShipped(**ids, shipped_at=now, expected_delivery_date=today)
    delivered = carrier.ParcelDelivered(**ids, delivered_at=now)
    return [PartnerAnswer("promised", news), PartnerAnswer("shipped", shipped), PartnerAnswer("delivered", delivered)]


def to_collection(data: dict[str, Any], rng: random.Random, now: datetime) -> PartnerAnswers:
    """Booked, collected, received and inspected; sometimes nobody is at home at the first attempt."""
    ids = {"issue_id": data["issue_id"], "collection_id": data["collection_id"]}
    attempt = data.get("attempt", 1)
    window = TimeWindow(day=date.fromisoformat(data["earliest_date"]))
    booked = PartnerAnswer("booked", carrier.CollectionBooked(**ids, window=window, attempt=attempt))
    if attempt == 1 and rng.random() < 0.1:
        failed = carrier.CollectionAttemptFailed(**ids, cause="nobody_home", attempted_at=now, attempt=attempt)
        return [booked, PartnerAnswer("nobody", failed)]
    pieces = [{"line_id": line["line_id"], "quantity": line["quantity"]} for line in data["lines"]]
    inspected = [{**piece, "condition": "scrap"} for piece in pieces]
    about: dict[str, Any] = {"issue_id": data["issue_id"]}
    return [
        booked,
        PartnerAnswer("collected", carrier.CollectionCollected(**ids, collected_at=now)),
        PartnerAnswer(
            "received", warehouse.ItemReceived.model_validate({**about, "lines": pieces, "received_at": now})
        ),
        PartnerAnswer(
            "inspected", warehouse.ItemInspected.model_validate({**about, "lines": inspected, "inspected_at": now})
        ),
    ]


def to_refund(data: dict[str, Any], attempt: int, rng: random.Random, now: datetime) -> PartnerAnswers:
    """Completed; one in ten fails at the first attempt."""
    ids = {"issue_id": data["issue_id"], "refund_id": data["refund_id"]}
    if attempt == 1 and rng.random() < 0.1:
        return [PartnerAnswer("failed", payment.RefundFailed(**ids, cause="bank_timeout", failed_at=now))]
    paid = payment.RefundCompleted.model_validate({**ids, "amount": data["amount"], "completed_at": now})
    return [PartnerAnswer("paid", paid)]


def disorder(answers: PartnerAnswers, rng: random.Random) -> tuple[PartnerAnswers, int, int]:
    """The same answers with repeats and swaps; returns the number of each."""
    disordered = list(answers)
    swapped = 0
    if len(disordered) > 1 and rng.random() < 0.15:
        index = rng.randrange(len(disordered) - 1)
        disordered[index], disordered[index + 1] = disordered[index + 1], disordered[index]
        swapped = 1
    repeated = [answer for answer in disordered if rng.random() < 0.15]
    for answer in repeated:
        disordered.insert(rng.randint(disordered.index(answer) + 1, len(disordered)), answer)
    return disordered, len(repeated), swapped
