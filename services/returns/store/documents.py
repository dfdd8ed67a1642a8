"""JSON documents of this service: the stored forms of cases and customer exposures."""

from pydantic import TypeAdapter

from services.returns.domain.state.case import Case
from services.returns.domain.state.exposure import CustomerExposure
from services.returns.domain.state.order_ledger import OrderLedger

CASE_DOCUMENT: TypeAdapter[Case] = TypeAdapter(Case)
EXPOSURE_DOCUMENT: TypeAdapter[CustomerExposure] = TypeAdapter(CustomerExposure)
ORDER_LEDGER: TypeAdapter[OrderLedger] = TypeAdapter(OrderLedger)
