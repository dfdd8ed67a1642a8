"""Authentication and encryption settings of Kafka clients, validated at start.

SASL_PLAINTEXT is not supported: passwords are sent over TLS only. Host names are always verified. KAFKA_CA is the PEM
text of a certificate authority, usually set by KAFKA_CA_FILE; default: the system's authorities.
"""

import ssl
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from pydantic import SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Protocol(StrEnum):
    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_SSL = "SASL_SSL"


class Mechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


_FASTSTREAM = {
    Mechanism.PLAIN: SASLPlaintext,
    Mechanism.SCRAM_SHA_256: SASLScram256,
    Mechanism.SCRAM_SHA_512: SASLScram512,
}


def _trust(authority: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"not a certificate in PEM format ({error})") from None


def _load_certificate(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_cert_chain(file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"no PEM file with certificate and key ({error})") from None


class KafkaSecurity(BaseSettings):
    """Settings of a Kafka client. `kafka_client_certificate` is a PEM file with certificate and key, for mutual TLS."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True, hide_input_in_errors=True)

    kafka_security_protocol: Protocol = Protocol.PLAINTEXT
    """`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`."""
    kafka_sasl_mechanism: Mechanism = Mechanism.SCRAM_SHA_512
    """SASL mechanism; required with a `SASL_` protocol."""
    kafka_sasl_username: str | None = None
    """SASL user name."""
    kafka_sasl_password: SecretStr | None = None
    """SASL password."""
    kafka_ca: str | None = None
    """File with the certificate authority of the brokers in PEM form; default: that of the system."""
    kafka_client_certificate: Path | None = None
    """File with the client's certificate and key in PEM form, for mutual TLS."""

    @field_validator("kafka_sasl_password")
    @classmethod
    def _complete(cls, value: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        """Checked per field, since a check of the whole model would not run beside another fault."""
        protocol = others.data.get("kafka_security_protocol")
        named = bool(others.data.get("kafka_sasl_username")), bool(value)
        if protocol == Protocol.SASL_SSL and not all(named):
            raise ValueError("missing, or KAFKA_SASL_USERNAME is; SASL_SSL needs both")
        if protocol not in (None, Protocol.SASL_SSL) and any(named):
            raise ValueError("SASL credentials need KAFKA_SECURITY_PROTOCOL: SASL_SSL; set that")
        return value

    @field_validator("kafka_ca", "kafka_client_certificate")
    @classmethod
    def _is_readable(cls, value: str | Path | None, others: ValidationInfo) -> str | Path | None:
        if not value:
            return value
        if others.data.get("kafka_security_protocol") == Protocol.PLAINTEXT:
            raise ValueError("certificates need KAFKA_SECURITY_PROTOCOL: SSL or SASL_SSL; set one of them")
        if isinstance(value, Path):
            _load_certificate(ssl.create_default_context(), value)
        else:
            _trust(value)
        return value

    def tls(self) -> ssl.SSLContext:
        """Return the TLS context. Raises `ValueError` for a certificate that cannot be read any more."""
        context = _trust(self.kafka_ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.kafka_client_certificate:
            _load_certificate(context, self.kafka_client_certificate)
        return context

    @cached_property
    def kafka_client_options(self) -> dict[str, Any]:
        """Keyword arguments for aiokafka's clients."""
        if self.kafka_security_protocol is Protocol.PLAINTEXT:
            return {}
        options = {"security_protocol": self.kafka_security_protocol.value, "ssl_context": self.tls()}
        if self.kafka_sasl_password:
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism.value,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": self.kafka_sasl_password.get_secret_value(),
            }
        return options

    def faststream_security(self) -> BaseSecurity | None:
        """Return the same settings for FastStream's broker."""
        if self.kafka_security_protocol is Protocol.PLAINTEXT:
            return None
        if not self.kafka_sasl_password:
            return BaseSecurity(ssl_context=self.tls())
        security = _FASTSTREAM[self.kafka_sasl_mechanism]
        return security(
            self.kafka_sasl_username or "", self.kafka_sasl_password.get_secret_value(), ssl_context=self.tls()
        )
