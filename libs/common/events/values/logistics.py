"""Time windows and statuses of carriers."""

from typing import Annotated

from pydantic import Field, StringConstraints

from libs.common.events.values.base import Day, Value


class TimeWindow(Value):
    """Time window of a courier's visit, in the shop's time zone."""

    day: Day
    """Day."""
    from_hour: Annotated[int, Field(ge=0, le=23)] = 9
    """First hour, 0 to 23."""
    to_hour: Annotated[int, Field(ge=1, le=24)] = 21
    """Last hour (exclusive), 1 to 24."""


class RawStatus(Value):
    """Status of a carrier or tracking service, unchanged."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    """System that the codes belong to, such as `easypost`, `aftership` or `yamato`."""
    code: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Status code."""
    detail: Annotated[str, StringConstraints(max_length=200)] | None = None
    """Sub-status code, if any."""
