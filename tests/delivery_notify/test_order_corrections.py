"""A corrected e-mail address counts for every mail that is not sent yet, newest by the shop's own time."""

from datetime import UTC, datetime, timedelta

from deploy.local.mailbox import Mailbox
from libs.common.events.storefront import OrderChanged
from libs.common.events.values import ContactChange
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import CUSTOMER, ORDER
from tests.delivery_notify.service import notifying, settled, take
from tests.delivery_notify.test_sender import at_once, later, order, put_off
from tests.running import Live, eventually


def corrected(email: str, minutes: int) -> OrderChanged:
    changed_at = datetime.now(UTC) + timedelta(minutes=minutes)
    contact = ContactChange(email=email)
    return OrderChanged(order_id=ORDER, customer_id=CUSTOMER, changed_at=changed_at, contact=contact)


async def receiver(live: Live, smtp: Mailbox, *corrections: OrderChanged) -> str:
    """Return where a mail goes that waits while these corrections arrive."""
    smtp.refusals.append("451 try again later")
    await take(live, order(), later())
    await eventually(lambda: put_off(live), "the notice is put off")
    await take(live, *corrections)
    await at_once(live)
    await settled(live)
    return str(smtp.messages[0]["To"])


async def test_a_mail_that_waits_goes_to_the_corrected_address(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        assert "new@example.jp" in await receiver(live, smtp, corrected("new@example.jp", 1))


async def test_of_two_corrections_the_newer_one_of_the_shop_counts(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        found = await receiver(live, smtp, corrected("newest@example.jp", 2), corrected("older@example.jp", 1))
        assert "newest@example.jp" in found
