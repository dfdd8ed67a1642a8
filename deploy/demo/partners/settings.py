"""Settings of the partners: one environment variable each, as for the services."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class PartnerSettings(BaseSettings):
    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True)

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_topic_prefix: str = ""
    kafka_fetch_max_wait_ms: Annotated[int, Field(ge=1)] = 500
    clock_file: Path | None = None
    shop_time_zone: str = "Asia/Tokyo"
    seed: int = 1
    quiet_from: datetime | None = None
    """From then on customers answer nothing and staff decides nothing."""
    repeat_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    http_host: str = "127.0.0.1"
    http_port: int = 0

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.shop_time_zone)


class StorefrontSettings(PartnerSettings):
    intake_url: str
    loyalty_url: str | None = None
    notices_url: str | None = None
    """The address of delivery_notify, which returns requested delivery addresses."""
    api_key: SecretStr
    orders: Path | None = None
    orders_count: Annotated[int, Field(ge=1)] = 1_000_000
    report_share: Annotated[float, Field(ge=0, le=1)] = 0.25


class CustomersSettings(PartnerSettings):
    mail_url: str
    public_url: str
    pages_url: str | None = None
    mail_key: SecretStr | None = None
    """API key of the mail server that passes answers to intake; without it customers use the pages only."""
    answer_share: Annotated[float, Field(ge=0, le=1)] = 0.7
    always_wait: bool = False
    """Customers choose to wait where they can: in a replay of real orders, every order was waited for."""


class StaffSettings(PartnerSettings):
    returns_url: str
    intake_url: str
    api_key: SecretStr


class MailSettings(PartnerSettings):
    smtp_port: int = 1025
