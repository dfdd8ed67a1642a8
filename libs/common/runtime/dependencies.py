"""FastAPI dependencies of module-level routes: objects that `create_app` put into `app.state`."""

from typing import Annotated

from fastapi import Depends, Request

from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.runtime.service import Service


def current_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(current_service)]
Key = Annotated[IdempotencyKey, Depends(idempotency_key)]
"""The `Idempotency-Key` header of a writing request."""
