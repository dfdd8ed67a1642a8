"""Environment and command of a service's process on one machine, for the demo, fault runs and benchmarks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RUNTIME = "libs.common.runtime"


def service_command(service: str, launcher: str = RUNTIME) -> tuple[str, ...]:
    """Arguments of Python; `launcher` is the module that runs a service."""
    return ("-m", launcher, f"services.{service}.app")


@dataclass(frozen=True, slots=True)
class ServiceEnvironment:
    """Settings that the services of one run share.

    `keys` are the API keys by caller; `personal_data_key` encrypts addresses and contacts. `photos` is the folder of
    all processes of intake, which cannot start without.
    """

    kafka_servers: str
    topic_prefix: str
    keys: Mapping[str, str]
    link_secret: str
    photos: Path | None = None
    log_level: str = "WARNING"
    personal_data_key: str = ""
    smtp_url: str = "discard://"
    mail_from: str = "shop@example.jp"

    def of(self, service: str, database_url: str, public_url: str) -> dict[str, str]:
        """Make the folder of photos and return the variables of one service, whose pages are at `public_url`."""
        pages = {"PUBLIC_URL": public_url, "LINK_SECRETS": self.link_secret}
        own = {
            "intake": {**pages, **({"EVIDENCE_DIR": str(self.photos)} if self.photos else {})},
            "delivery_notify": {"SMTP_URL": self.smtp_url, "MAIL_FROM": self.mail_from, **pages},
        }
        if self.photos:
            self.photos.mkdir(exist_ok=True)
        return {
            "DATABASE_URL": database_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_servers,
            "KAFKA_TOPIC_PREFIX": self.topic_prefix,
            "API_KEYS": ",".join(f"{caller}:{key}" for caller, key in self.keys.items()),
            "LOG_LEVEL": self.log_level,
            **({"PERSONAL_DATA_KEYS": self.personal_data_key} if self.personal_data_key else {}),
            **own.get(service, {}),
        }
