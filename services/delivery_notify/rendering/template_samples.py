"""Sample facts for every branch of the templates, for the linter and the tests."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import Title
from libs.common.events.notices import DecidedBy, NoticeKind
from libs.common.events.values import Choice, Language, Reason, Remedy
from services.delivery_notify.domain.notices import NoticeFacts, NoticeLine
from services.delivery_notify.policy.consent_law import DelayTerms
from services.delivery_notify.rendering.content import NoticeContent

RECIPIENT_NAME = "山田 花子"
DAY, PREVIOUS_DAY = date(2027, 3, 12), date(2027, 3, 5)
CHOICE: dict[str, Any] = {
    "choice_id": derived_id("choice", "letters"),
    "answer_by": datetime(2027, 3, 8, 1, tzinfo=UTC),
    "options": (Choice.WAIT, Choice.CHANGE, Choice.CANCEL),
    "default": Choice.WAIT,
}
POINTS: dict[str, Any] = {"points": 1549, "usable_from": PREVIOUS_DAY, "usable_until": DAY}
MONEY: dict[str, Any] = {"amount": Decimal("3800"), "currency": "JPY"}
REQUEST: dict[str, Any] = {"previous_day": PREVIOUS_DAY}
SHIPS_ON = date(2027, 3, 19)

NO_ORDER: dict[str, Any] = {"lines": (), "purchase_count": None}
TITLES = tuple(
    Title(code=code, language=language, text=text)
    for code, language, text in (
        ("silver", "ja", "シルバー会員"),
        ("silver", "en", "Silver"),
        ("free_gift_wrap", "ja", "ギフト包装無料"),
        ("free_gift_wrap", "en", "Free gift wrapping"),
        ("new_year", "ja", "新春キャンペーン"),
        ("new_year", "en", "the New Year campaign"),
    )
)
SAMPLES: dict[str, tuple[NoticeKind, dict[str, Any]]] = {
    "accepted, replacement": (
        NoticeKind.ISSUE_ACCEPTED,
        {"plan": "replacement", "remedy": Remedy.REPLACEMENT, "reason": Reason.DEFECTIVE},
    ),
    "accepted, part": (
        NoticeKind.ISSUE_ACCEPTED,
        {"plan": "replacement", "remedy": Remedy.PART_SHIPMENT, "reason": Reason.MISSING_PART},
    ),
    "accepted, date follows": (
        NoticeKind.ISSUE_ACCEPTED,
        {"plan": "date", "remedy": Remedy.REPLACEMENT, "reason": Reason.DEFECTIVE, "next_update_by": DAY},
    ),
    "accepted, date of the part follows": (
        NoticeKind.ISSUE_ACCEPTED,
        {"plan": "date", "remedy": Remedy.PART_SHIPMENT, "reason": Reason.MISSING_PART, "next_update_by": DAY},
    ),
    "accepted, withdrawal": (
        NoticeKind.ISSUE_ACCEPTED,
        {"plan": "collection", "reason": Reason.CHANGED_MIND, "withdrawal_days": 14},
    ),
    "accepted, refund": (NoticeKind.ISSUE_ACCEPTED, {"plan": "refund", "reason": Reason.LOST_IN_TRANSIT, **MONEY}),
    **{
        f"accepted, {reason}": (NoticeKind.ISSUE_ACCEPTED, {"plan": "wait", "next_update_by": DAY, "reason": reason})
        for reason in (Reason.DAMAGED_IN_TRANSIT, Reason.MISSING_ITEM, Reason.WRONG_ITEM)
    },
    "accepted, collection": (NoticeKind.ISSUE_ACCEPTED, {"plan": "collection", "reason": Reason.CHANGED_MIND}),
    "accepted, collection for a refund": (NoticeKind.ISSUE_ACCEPTED, {"plan": "refund_collection"}),
    "accepted, later": (NoticeKind.ISSUE_ACCEPTED, {"plan": "wait", "next_update_by": DAY}),
    "rejected, unknown order": (NoticeKind.ISSUE_REJECTED, {"code": "unknown_order"}),
    "rejected, window": (NoticeKind.ISSUE_REJECTED, {"code": "window_closed"}),
    "rejected, known": (NoticeKind.ISSUE_REJECTED, {"code": "units_already_reported"}),
    "rejected, not delivered": (NoticeKind.ISSUE_REJECTED, {"code": "units_not_delivered"}),
    "rejected, other": (NoticeKind.ISSUE_REJECTED, {"code": "something_new"}),
    "review": (NoticeKind.REVIEW_STARTED, {"next_update_by": DAY}),
    "date follows": (NoticeKind.REVIEW_STARTED, {"plan": "date", "next_update_by": DAY}),
    "date is late": (NoticeKind.REVIEW_STARTED, {"plan": "date", "next_update_by": DAY, "update_number": 2}),
    "details": (NoticeKind.DETAILS_REQUESTED, {"missing": ("photo", "part", "the colour")}),
    "reply": (
        NoticeKind.STAFF_REPLY,
        {"day": None, "reply": "12 cm in height.\nIt holds < 300 ml & is dishwasher safe."},
    ),
    "promised": (NoticeKind.REPLACEMENT_PROMISED, {}),
    "promised, earlier": (NoticeKind.REPLACEMENT_PROMISED, {"previous_day": date(2027, 3, 15)}),
    "delayed": (NoticeKind.REPLACEMENT_DELAYED, {"previous_day": PREVIOUS_DAY}),
    "shipped": (NoticeKind.REPLACEMENT_SHIPPED, {"carrier": "やまねこ便", "tracking_number": "1234-5678"}),
    "shipped, linked": (NoticeKind.REPLACEMENT_SHIPPED, {"carrier": "yamato", "tracking_number": "1234-5678-9012"}),
    "shipped, untracked": (NoticeKind.REPLACEMENT_SHIPPED, {}),
    "shipped in part": (
        NoticeKind.REPLACEMENT_PART_SHIPPED,
        {"carrier": "yamato", "tracking_number": "1234-5678-9012", "next_update_by": date(2027, 3, 23)},
    ),
    "delivery day changed": (NoticeKind.REPLACEMENT_DELIVERY_CHANGED, {"previous_day": PREVIOUS_DAY}),
    "choice, restock": (
        NoticeKind.CHOICE_REQUESTED,
        {
            **CHOICE,
            "plan": "restock",
            "next_update_by": date(2027, 3, 8),
            "options": (Choice.WAIT, Choice.REFUND),
        },
    ),
    "choice, not shipping": (
        NoticeKind.CHOICE_REQUESTED,
        {
            **CHOICE,
            "plan": "restock",
            "code": "not_shipping",
            "next_update_by": date(2027, 3, 8),
            "options": (Choice.WAIT, Choice.REFUND),
        },
    ),
    "choice, unknown": (
        NoticeKind.CHOICE_REQUESTED,
        {**CHOICE, "plan": "unknown", "next_update_by": DAY, "options": (Choice.REFUND,), "default": Choice.REFUND},
    ),
    "collection": (NoticeKind.COLLECTION_BOOKED, {"from_hour": 14, "to_hour": 16}),
    "collection again": (NoticeKind.COLLECTION_BOOKED, {"from_hour": 9, "to_hour": 12, "update_number": 2}),
    "collection in another window": (
        NoticeKind.COLLECTION_BOOKED,
        {"from_hour": 9, "to_hour": 12, "plan": "other_window"},
    ),
    **{
        f"collection window declined, {plan}, {code}": (
            NoticeKind.COLLECTION_WINDOW_DECLINED,
            {"previous_day": PREVIOUS_DAY, "next_update_by": DAY, "plan": plan, "code": code},
        )
        for plan, code in (
            ("visit", "courier"),
            ("visit", "no_answer"),
            ("visit", "too_early"),
            ("staff", "courier"),
        )
    },
    "collection window declined, none": (
        NoticeKind.COLLECTION_WINDOW_DECLINED,
        {"previous_day": DAY, "next_update_by": DAY, "plan": "none", "code": "not_needed"},
    ),
    **{
        f"collection window pending, {number}": (
            NoticeKind.COLLECTION_WINDOW_PENDING,
            {"previous_day": PREVIOUS_DAY, "next_update_by": DAY, "update_number": number},
        )
        for number in (1, 2)
    },
    "collection attempted": (NoticeKind.COLLECTION_ATTEMPTED, {}),
    "collection reminded": (NoticeKind.COLLECTION_REMINDED, {"next_update_by": DAY}),
    "warned, defective": (NoticeKind.BUYER_WARNED, {"day": None, "code": "may_be_defective"}),
    "warned, part": (NoticeKind.BUYER_WARNED, {"day": None, "code": "may_lack_a_part"}),
    "warned, other": (NoticeKind.BUYER_WARNED, {"day": None, "code": "may_be_another_item"}),
    "received": (NoticeKind.ITEM_RECEIVED, {}),
    "refund asked": (NoticeKind.REFUND_REQUESTED, {"plan": "refund", **MONEY}),
    "refunded": (NoticeKind.REFUNDED, MONEY),
    "refunded in part": (NoticeKind.REFUNDED, {**MONEY, "remaining": Decimal(1200)}),
    "resolved": (NoticeKind.ISSUE_RESOLVED, {"remedy": Remedy.REPLACEMENT}),
    "resolved, with points": (NoticeKind.ISSUE_RESOLVED, {"remedy": Remedy.REPLACEMENT, **POINTS}),
    "refunded, with points": (NoticeKind.REFUNDED, {**MONEY, **POINTS}),
    "points granted": (NoticeKind.POINTS_GRANTED, POINTS),
    "points expiring": (
        NoticeKind.POINTS_EXPIRING,
        {"lines": (), "purchase_count": None, "points": 549, "balance": 1284, "as_of": PREVIOUS_DAY},
    ),
    "points expiring, all": (
        NoticeKind.POINTS_EXPIRING,
        {"lines": (), "purchase_count": None, "points": 1, "balance": 1, "as_of": PREVIOUS_DAY},
    ),
    "birthday points": (NoticeKind.BIRTHDAY_POINTS, {**NO_ORDER, **POINTS}),
    "campaign points": (
        NoticeKind.CAMPAIGN_POINTS,
        {**NO_ORDER, **POINTS, "campaigns": ("new_year",), "titles": TITLES},
    ),
    "tier reached": (
        NoticeKind.TIER_REACHED,
        {**NO_ORDER, "tier": "silver", "perks": ("free_gift_wrap", "a_perk_of_the_shop"), "titles": TITLES},
    ),
    "tier reached, no perks": (NoticeKind.TIER_REACHED, {**NO_ORDER, "tier": "silver", "titles": TITLES}),
    "reopened": (NoticeKind.ISSUE_REOPENED, {"next_update_by": DAY}),
    "cancelled by staff": (NoticeKind.ISSUE_CANCELLED, {"code": "not_as_reported"}),
    "cancelled": (NoticeKind.ISSUE_CANCELLED, {"code": "customer_request"}),
    "order delayed": (NoticeKind.ORDER_DELAYED, {"previous_day": PREVIOUS_DAY, **CHOICE}),
    "order delayed, prepaid": (
        NoticeKind.ORDER_DELAYED,
        {
            "previous_day": PREVIOUS_DAY,
            "received_on": PREVIOUS_DAY,
            "terms": DelayTerms("JP", "sample"),
            **MONEY,
            **CHOICE,
        },
    ),
    "order delayed, United States": (
        NoticeKind.ORDER_DELAYED,
        {"previous_day": PREVIOUS_DAY, "terms": DelayTerms("US", "sample"), **CHOICE},
    ),
    "order delayed, Europe": (
        NoticeKind.ORDER_DELAYED,
        {"previous_day": PREVIOUS_DAY, "terms": DelayTerms("DE", "sample", refund_days_are="calendar"), **CHOICE},
    ),
    "order overdue": (NoticeKind.ORDER_OVERDUE, {"previous_day": PREVIOUS_DAY, "next_update_by": DAY, **CHOICE}),
    "order overdue again": (
        NoticeKind.ORDER_OVERDUE,
        {"previous_day": PREVIOUS_DAY, "next_update_by": DAY, "update_number": 3, **CHOICE},
    ),
    "order early": (NoticeKind.ORDER_EARLY, {"previous_day": date(2027, 3, 19)}),
    "order dated": (NoticeKind.ORDER_DATED, {}),
    "order accepted": (NoticeKind.ORDER_ACCEPTED, {"received_on": PREVIOUS_DAY, **MONEY}),
    "order accepted, no date": (
        NoticeKind.ORDER_ACCEPTED,
        {"received_on": PREVIOUS_DAY, "day": None, "next_update_by": DAY, **MONEY},
    ),
    "order cancelled": (NoticeKind.ORDER_CANCELLED, {"decided_by": DecidedBy.CUSTOMER, "refund_by": DAY}),
    "order cancelled by silence": (
        NoticeKind.ORDER_CANCELLED,
        {"decided_by": DecidedBy.SILENCE, "refund_by": DAY, "received_on": PREVIOUS_DAY, **MONEY},
    ),
    **{
        f"change accepted, {subject}": (NoticeKind.CHANGE_ACCEPTED, {**REQUEST, "plan": subject, "ships_on": ships_on})
        for subject, ships_on in (("date", SHIPS_ON), ("address", SHIPS_ON), ("item", None))
    },
    "change accepted, shipped": (NoticeKind.CHANGE_ACCEPTED, {**REQUEST, "plan": "date"}),
    "change declined": (
        NoticeKind.CHANGE_DECLINED,
        {**REQUEST, "plan": "date", "code": "already_packed", "ships_on": SHIPS_ON},
    ),
    "change declined, undated": (
        NoticeKind.CHANGE_DECLINED,
        {**REQUEST, "plan": "item", "code": "out_of_stock", "next_update_by": SHIPS_ON},
    ),
    "change declined, cancelled": (NoticeKind.CHANGE_DECLINED, {**REQUEST, "plan": "item", "code": "order_cancelled"}),
    "cancellation declined": (NoticeKind.CHANGE_DECLINED, {**REQUEST, "plan": "cancel"}),
    "change pending": (NoticeKind.CHANGE_PENDING, {**REQUEST, "plan": "address", "next_update_by": DAY}),
    "cancellation pending": (
        NoticeKind.CHANGE_PENDING,
        {**REQUEST, "plan": "cancel", "next_update_by": DAY, "update_number": 2},
    ),
    **{
        f"change overtaken, {subject}": (NoticeKind.CHANGE_OVERTAKEN, {**REQUEST, "plan": subject, "code": "open"})
        for subject in ("cancel", "item", "date", "address")
    },
    "cancellation overtaken after its acceptance": (
        NoticeKind.CHANGE_OVERTAKEN,
        {**REQUEST, "plan": "cancel", "code": "accepted"},
    ),
    **{
        f"contact changed, {plan}": (NoticeKind.CONTACT_CHANGED, {"lines": (), "day": None, "plan": plan})
        for plan in ("email", "address", "both")
    },
    "delivery delayed": (NoticeKind.DELIVERY_DELAYED, {"previous_day": PREVIOUS_DAY, **CHOICE}),
    "delivery overdue": (NoticeKind.DELIVERY_OVERDUE, {"previous_day": PREVIOUS_DAY, "next_update_by": DAY, **CHOICE}),
    "preorder": (NoticeKind.PREORDER_PROGRESS, {"next_update_by": date(2027, 4, 1)}),
    "preorder, no date": (
        NoticeKind.PREORDER_PROGRESS,
        {"day": None, "next_update_by": DAY, "lines": (NoticeLine("青い急須", 1, stage="glazing"),)},
    ),
}
LINES = (
    NoticeLine("青い急須", 1, DAY, PREVIOUS_DAY, "production"),
    NoticeLine("湯のみ <大> & 小", 2, DAY, PREVIOUS_DAY, "a_stage_of_the_shop", "二度目の窯入れです"),
)


def sample_content(case: str, language: Language) -> NoticeContent:
    kind, facts = SAMPLES[case]
    return NoticeContent(
        kind,
        "O-2027-0301",
        RECIPIENT_NAME,
        language,
        NoticeFacts(**{"lines": LINES, "day": DAY, "purchase_count": 3, **facts}),
        derived_id("issue", case),
        datetime(2027, 3, 1, 1, tzinfo=UTC),
        customer_id="C-301",
    )
