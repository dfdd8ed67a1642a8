"""Customer panels of the desk: who may see the contact, and the record of who did.

A contact is for agents and admins. That one of them opened a page with it is recorded once per person, order and day
of the shop, so that a page that refreshes itself does not fill the record.
"""

from libs.common.decisions.ids import derived_id
from libs.common.postgres.pool import Connection
from libs.common.runtime.service import Service
from services.intake.desk.accounts import StaffRole
from services.intake.desk.sessions import StaffSession
from services.intake.store.customer_panel import CustomerPanel, read_panel
from services.intake.store.desk import record_action

CONTACT_SEEN = "contact_seen"


async def open_panel(
    conn: Connection, service: Service, session: StaffSession, customer_id: str, order_id: str
) -> CustomerPanel:
    """Return the panel of an order's customer as this member of staff may see it."""
    panel = await read_panel(conn, customer_id, order_id, with_contact=session.may(StaffRole.AGENT))
    if panel.contact:
        now, subject = service.clock.now(), f"order:{order_id}"
        day = now.astimezone(service.settings.zone).date().isoformat()
        action_id = derived_id(CONTACT_SEEN, session.staff, f"{subject} {day}")
        await record_action(conn, action_id, subject, session.staff, CONTACT_SEEN, "", "", now)
    return panel
