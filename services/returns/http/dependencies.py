"""FastAPI dependencies of all routes of returns."""

from typing import Annotated

from fastapi import Depends, Request

from services.returns.store.cases import Cases


def _cases(request: Request) -> Cases:
    cases: Cases = request.app.state.cases
    return cases


CurrentCases = Annotated[Cases, Depends(_cases)]
