"""`GET /metrics` for Prometheus, with the key of the caller `ops` as bearer token, as for all of `/ops`."""

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE

PATH = "/metrics"

router = APIRouter(tags=["ops"], dependencies=[Depends(require_caller("ops"))], responses=PROBLEM_RESPONSE)


@router.get(PATH, response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST.split(";")[0]: {}}}})
async def metrics(request: Request) -> Response:
    """All metrics of this process in Prometheus' text format."""
    return Response(request.app.state.service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
