"""Settings from environment variables, validated at start.

Any variable can be read from a file instead: `DATABASE_URL_FILE=/run/secrets/...` sets `DATABASE_URL`.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, NoDecode

from libs.common.config.column_key_settings import ColumnKeySettings
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.events.topics import TOPICS

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{name!r} is not an IANA time zone; use a name such as Asia/Tokyo") from None
    return name


def _parse_keys(value: object) -> object:
    if not isinstance(value, str):
        return value
    keys: dict[str, list[str]] = {}
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        caller, separator, key = part.partition(":")
        if not separator or len(key) < 16:
            raise ValueError("not caller:key pairs; separate them by commas, each key of 16 characters or more")
        keys.setdefault(caller, []).append(key)
    return {caller: tuple(values) for caller, values in keys.items()}


ApiKeys = Annotated[dict[str, tuple[str, ...]], NoDecode, BeforeValidator(_parse_keys)]
"""`caller:key,caller:key`; a caller may have several keys, for rotation without downtime."""

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")]

LONGEST_RETENTION_DAYS = max(topic.retention_days for topic in TOPICS)
"""Minimum of the inbox retention: an inbox row must outlive its event in Kafka, or the event could be applied twice."""


class ServiceSettings(KafkaSecurity, ColumnKeySettings):
    """Settings of every service. The environment variable is the field name in capitals."""

    database_url: Annotated[str, StringConstraints(pattern=r"^postgres(ql)?://"), Field(repr=False)]
    """PostgreSQL URL of the role that the service runs as."""
    kafka_bootstrap_servers: Annotated[str, StringConstraints(min_length=3)]
    """Kafka brokers, `host:port` with commas between them."""
    kafka_topic_prefix: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]*$")] = ""
    """Prefix of every topic and consumer group, to share a cluster."""
    kafka_idempotence: bool = True
    """Idempotent producer; turn off only for a broker without it."""
    kafka_session_timeout_ms: Annotated[int, Field(ge=1000, le=300_000)] = 45_000
    """Milliseconds without a heartbeat after which a consumer loses its partitions."""
    kafka_max_poll_interval_ms: Annotated[int, Field(ge=1000)] = 300_000
    """Milliseconds that one batch may take at most."""
    kafka_metadata_max_age_ms: Annotated[int, Field(ge=1000)] = 60_000
    """Milliseconds after which topic metadata is read again."""
    kafka_fetch_max_wait_ms: Annotated[int, Field(ge=1, le=30_000)] = 500
    """Milliseconds for which a broker may hold a fetch that has nothing to return."""
    api_keys: ApiKeys = Field(default_factory=dict, repr=False)
    """API keys of callers, `caller:key` with commas between them; a caller may have several for rotation."""
    http_host: str = "127.0.0.1"
    """Address that the HTTP server listens on."""
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port that the HTTP server listens on."""
    trusted_proxies: str = ""
    """Addresses or networks of proxies whose `X-Forwarded-For` is used, with commas between them; unset: none."""
    http_connections: Annotated[int, Field(ge=10, le=10_000)] = 500
    """Maximum connections; more get 503. Keep it well below the process's limit of open files."""
    shop_time_zone: Annotated[str, AfterValidator(_known_zone)] = "Asia/Tokyo"
    """Time zone of the shop (IANA name); dates in messages to customers are in it."""
    clock_file: Path | None = None
    """File with a shared clock, for demo and tests."""
    otel_exporter_otlp_endpoint: str | None = None
    """OTLP/HTTP endpoint for traces and metrics; unset: none are exported."""
    log_level: Annotated[str, StringConstraints(pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""
    batch_size: Annotated[int, Field(ge=1, le=5000)] = 500
    """Records or commands decided in one transaction at most."""
    pool_size: Annotated[int, Field(ge=2, le=100)] = 8
    """Connections to PostgreSQL."""
    inbox_retention_days: Annotated[int, Field(gt=LONGEST_RETENTION_DAYS)] = 60
    """Days for which applied event ids are kept; longer than the retention of every topic."""
    dead_letter_retention_days: Annotated[int, Field(ge=1)] = 90
    """Days for which a settled dead letter is listed; its content is deleted at once."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.shop_time_zone)


S = TypeVar("S", bound=BaseSettings)


class SettingsError(SystemExit):
    """Invalid settings; the message names each variable, its fault and the remedy."""


def load(settings: type[S], **given: Any) -> S:
    """Read settings besides those given; on errors exit with a message that names every invalid variable."""
    from_files: dict[str, Any] = {
        field: Path(os.environ[f"{field.upper()}_FILE"]).read_text(encoding="utf-8").strip()
        for field in settings.model_fields
        if f"{field.upper()}_FILE" in os.environ
    }
    try:
        return settings(**given, **from_files)
    except ValidationError as error:
        message = "Invalid settings:\n" + "\n".join(f"  {_fault(e)}" for e in error.errors())
        print(message, file=sys.stderr)  # noqa: T201 - before logging is set up
        raise SettingsError(2) from None


def _fault(error: "ErrorDetails") -> str:
    """Return one line per error; an error about several variables names them itself."""
    text = error["msg"].removeprefix("Value error, ")
    return f"{str(error['loc'][0]).upper()}: {text}" if error["loc"] else text
