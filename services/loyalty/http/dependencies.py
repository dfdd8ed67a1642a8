"""FastAPI dependencies of all routes of loyalty."""

from typing import Annotated

from fastapi import Depends, Path, Request

from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.runtime.service import Service
from services.loyalty.store.ledger import LedgerStore


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _ledger(request: Request) -> LedgerStore:
    ledger: LedgerStore = request.app.state.ledger
    return ledger


CurrentService = Annotated[Service, Depends(_service)]
CurrentLedger = Annotated[LedgerStore, Depends(_ledger)]
CustomerId = Annotated[str, Path(min_length=1, max_length=128)]
Key = Annotated[IdempotencyKey, Depends(idempotency_key)]
