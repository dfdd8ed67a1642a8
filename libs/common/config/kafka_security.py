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
from pydantic import SecretStr, model_validator
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

    @model_validator(mode="after")
    def _complete(self) -> "KafkaSecurity":
        sasl = self.kafka_security_protocol is Protocol.SASL_SSL
        named = bool(self.kafka_sasl_username), bool(self.kafka_sasl_password)
        if sasl and not all(named):
            raise ValueError("KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: incomplete; SASL_SSL needs both")
        if any(named) and not sasl:
            raise ValueError("KAFKA_SECURITY_PROTOCOL: SASL credentials need SASL_SSL; set that")
        if self.kafka_security_protocol is not Protocol.PLAINTEXT:
            self.tls()
        elif self.kafka_ca or self.kafka_client_certificate:
            raise ValueError("KAFKA_SECURITY_PROTOCOL: certificates need SSL or SASL_SSL; set one of them")
        return self

    def tls(self) -> ssl.SSLContext:
        """Return the TLS context. Raises `ValueError` with the variable whose certificate cannot be read."""
        try:
            context = ssl.create_default_context(cadata=self.kafka_ca)
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(f"KAFKA_CA: not a certificate in PEM format ({error})") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.kafka_client_certificate:
            try:
                context.load_cert_chain(self.kafka_client_certificate)
            except (OSError, ssl.SSLError) as error:
                raise ValueError(f"KAFKA_CLIENT_CERTIFICATE: no PEM file with certificate and key ({error})") from None
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
