"""FastAPI dependencies of all routes of loyalty."""

from typing import Annotated

from fastapi import Depends, Path, Request

from services.loyalty.store.ledger import LedgerStore


def _ledger(request: Request) -> LedgerStore:
    ledger: LedgerStore = request.app.state.ledger
    return ledger


CurrentLedger = Annotated[LedgerStore, Depends(_ledger)]
CustomerId = Annotated[str, Path(min_length=1, max_length=128)]
