"""Claimed notices and routes for tests of the sender's decisions."""

from dataclasses import replace
from typing import Any

from libs.common.decisions.ids import derived_id
from libs.common.events.values import Language
from services.delivery_notify.domain.routing import RecipientContact, Route
from services.delivery_notify.store.notice_queue import ClaimedNotice

HANAKO = RecipientContact("山田 花子", "hanako@example.jp", Language.JA, "+819012345678", "U-1")
MAIL, LINE = Route("email", "hanako@example.jp"), Route("line", "U-1")
NOTICE = ClaimedNotice(
    derived_id("notice", "claimed"), "O-1", "C-1", None, "order_delayed", "{}", None, 1, None, HANAKO, None
)


def claimed(number: int = 0, **changes: Any) -> ClaimedNotice:
    """A notice of its own id per number, of the same customer."""
    return replace(NOTICE, notice_id=derived_id("notice", number), **changes)
