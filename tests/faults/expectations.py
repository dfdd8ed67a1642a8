"""Expectations of the judge of a fault run: wishes about orders, lost parcels that are found, warned buyers."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator

from deploy.verification.evidence import Fact, History, parse_time
from deploy.verification.verdict import Violation, violation


def wishes_have_outcomes(history: History) -> Iterator[Violation]:
    """A wish about an order is settled as the newest answer of the shop says; without an answer it becomes overdue."""
    settled, overdue, answered = (
        _by(history.of("customer.decision_settled"), "choice_id"),
        _by(history.of("customer.decision_overdue"), "choice_id"),
        _by(history.of("order.change_answered"), "request_id"),
    )
    shipped = {fact.order: fact for fact in reversed(history.of("order.shipped"))}
    for wish in history.of("customer.decided"):
        if wish.issue or not wish.data.get("answer_by"):
            continue
        choice = str(wish.data["choice_id"])
        if answers := answered.get(choice):
            newest = max(answers, key=lambda fact: parse_time(fact.data["answered_at"]))
            outcomes = [fact.data["outcome"] for fact in settled.get(choice, ())]
            if not outcomes:
                yield violation(f"wish {choice}: answered, and never settled", wish, *answers)
            elif newest.data["answer"] not in outcomes and not (
                "superseded" in outcomes or ("overtaken" in outcomes and _overtakes(shipped.get(wish.order), newest))
            ):
                yield violation(f"wish {choice}: settled as {outcomes}, not as answered last", wish, newest)
        elif choice not in settled and choice not in overdue and parse_time(wish.data["answer_by"]) < history.now:
            yield violation(f"wish {choice}: its deadline passed in silence", wish)


def _overtakes(shipped: Fact | None, answer: Fact) -> bool:
    """Return whether a shipment may have been read before the answer: it stands before it, or in another partition."""
    return shipped is not None and (shipped.partition != answer.partition or shipped.offset < answer.offset)


def found_parcels_count(history: History) -> Iterator[Violation]:
    """An issue whose lost parcel reached the customer after all is cancelled, or a person looks at it.

    The workload sends every delivery of a lost parcel after its report: none is one that the report contradicts.
    """
    delivered = {fact.order: fact for fact in history.of("order.delivered")}
    lost = [fact for fact in history.of("issue.accepted") if fact.data["reason"] == "lost_in_transit"]
    arrivals = [(fact.issue, fact) for fact in history.of("parcel.found")]
    arrivals += [(fact.issue, delivered[fact.order]) for fact in lost if fact.order in delivered]
    for issue, arrival in arrivals:
        ended = history.about(issue, "issue.cancelled", "issue.rejected")
        asked = history.about(issue, "issue.review_requested")
        if not ended and all(fact.data["cause"] != "parcel_found" for fact in asked):
            yield violation(f"issue {issue}: its parcel arrived after all, and nobody looks at it", arrival)


def buyers_warned(history: History, lot: str, warned_clusters: Collection[str]) -> Iterator[Violation]:
    """Each buyer of the lot who did not report is warned once in each cluster, and gets a notice or a reason."""
    noticed = {fact.order for fact in _notices(history) if fact.data["kind"] == "buyer_warned"}
    warnings = Counter((fact.data["cluster_id"], fact.order) for fact in history.of("buyer.warned"))
    for (cluster, order), count in warnings.items():
        if count > 1:
            yield violation(f"order {order}: warned {count} times in cluster {cluster}")
        if order not in noticed:
            yield violation(f"order {order}: warned, and no notice about it")
    reported = {fact.order for fact in history.of("issue.reported")}
    delivered = {fact.order for fact in history.of("order.delivered")}
    for shipped in history.of("order.shipped"):
        is_of_lot = any(line.get("lot") == lot for line in shipped.data["lines"])
        if is_of_lot and shipped.order in delivered - reported:
            for cluster in warned_clusters:
                if not warnings[cluster, shipped.order]:
                    yield violation(f"order {shipped.order}: of lot {lot}, and its buyer was not warned", shipped)


def _notices(history: History) -> list[Fact]:
    return history.of("notice.sent", "notice.failed", "notice.suppressed")


def _by(facts: list[Fact], name: str) -> dict[str, list[Fact]]:
    found: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[str(fact.data.get(name))].append(fact)
    return dict(found)
