"""An erasure of one customer, and the times before and after it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from libs.common.events.customers import CustomerErasureRequested
from libs.common.privacy.erasure import Erasure

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
BEFORE, AFTER = NOW - timedelta(days=1), NOW + timedelta(days=1)
CUSTOMER, OTHER = "C-1", "C-10"
ERASURE = Erasure(CUSTOMER, UUID(int=1), NOW)


def asked(until: datetime = NOW) -> CustomerErasureRequested:
    return CustomerErasureRequested(customer_id=CUSTOMER, erasure_id=UUID(int=1), requested_at=until)
