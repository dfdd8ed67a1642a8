"""Settings of intake's pages: the desk's sessions and neighbours, and what a shop shows its customers."""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from libs.common.config.settings import ServiceSettings


def _addresses(value: object) -> object:
    if not isinstance(value, str):
        return value
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        name, separator, url = part.partition("=")
        if not separator or urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("write service=http://address, separated by commas")
        found[name] = url.rstrip("/")
    return found


def _origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    origins = tuple(filter(None, (part.strip().rstrip("/") for part in value.split(","))))
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or any(c in origin for c in " ;'\""):
            raise ValueError("write origins such as https://shop.example, separated by commas")
    return origins


def _with_trace_id(value: str) -> str:
    if "{trace_id}" not in value:
        raise ValueError("write the address of a trace with {trace_id} in it: http://localhost:16686/trace/{trace_id}")
    return value


Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")]


class PageSettings(ServiceSettings):
    shop_name: Annotated[str, StringConstraints(min_length=1, max_length=80)] = "Sakidashi"
    """What the shop is called on its customers' pages."""
    shop_contact: Annotated[str, StringConstraints(max_length=200)] = ""
    """How customers reach a person: a telephone number with its hours, a mail address. Shown as it is."""
    embed_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = ()
    """The shops that may show the report form inside their own pages."""
    desk_secure_cookies: bool = True
    """False only where the desk is reached without TLS, as on one's own machine."""
    desk_idle_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 30
    desk_session_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 12
    ops_urls: Annotated[dict[str, str], NoDecode, BeforeValidator(_addresses)] = Field(default_factory=dict)
    """The other services, whose dead letters the desk shows: returns=http://returns:8000,..."""
    ops_key: SecretStr | None = None
    """The API key with which the desk calls their ops routes."""
    notices_url: Url | None = None
    """Where staff reach delivery_notify, for mails as they were sent; no links to them where it is not set."""
    trace_url: Annotated[str, AfterValidator(_with_trace_id)] | None = None
    """The address of one trace, with {trace_id} in it; no links to traces where it is not set."""

    @property
    def desk_idle(self) -> timedelta:
        return timedelta(minutes=self.desk_idle_minutes)

    @property
    def desk_longest(self) -> timedelta:
        return timedelta(hours=self.desk_session_hours)
