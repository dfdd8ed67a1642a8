"""How a client proves itself to Kafka, and Kafka to the client: settings, refused at start when they do not fit.

Passwords travel only inside TLS: there is no SASL_PLAINTEXT here, since a network that is private today is shared
tomorrow. Host names are always checked. A certificate authority of your own is given as PEM text in KAFKA_CA, usually
as KAFKA_CA_FILE; without it the system's authorities count.
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
    """`kafka_client_certificate` is a PEM file with certificate and key, for brokers that ask their clients for one."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True, hide_input_in_errors=True)

    kafka_security_protocol: Protocol = Protocol.PLAINTEXT
    kafka_sasl_mechanism: Mechanism = Mechanism.SCRAM_SHA_512
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ca: str | None = None
    kafka_client_certificate: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> "KafkaSecurity":
        sasl = self.kafka_security_protocol is Protocol.SASL_SSL
        named = bool(self.kafka_sasl_username), bool(self.kafka_sasl_password)
        if sasl and not all(named):
            raise ValueError("KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: SASL_SSL needs both")
        if any(named) and not sasl:
            raise ValueError("KAFKA_SECURITY_PROTOCOL: a SASL name or password is sent over SASL_SSL only; set that")
        if self.kafka_security_protocol is not Protocol.PLAINTEXT:
            self.tls()
        elif self.kafka_ca or self.kafka_client_certificate:
            raise ValueError("KAFKA_SECURITY_PROTOCOL: a certificate is of no use over PLAINTEXT; set SSL or SASL_SSL")
        return self

    def tls(self) -> ssl.SSLContext:
        """Raises `ValueError` that names the variable whose certificate cannot be read."""
        try:
            context = ssl.create_default_context(cadata=self.kafka_ca)
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(f"KAFKA_CA: this is no certificate in PEM form ({error})") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.kafka_client_certificate:
            try:
                context.load_cert_chain(self.kafka_client_certificate)
            except (OSError, ssl.SSLError) as error:
                raise ValueError(f"KAFKA_CLIENT_CERTIFICATE: write a PEM file with both parts ({error})") from None
        return context

    @cached_property
    def kafka_client_options(self) -> dict[str, Any]:
        """What aiokafka's clients take."""
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
        """The same for FastStream's broker."""
        if self.kafka_security_protocol is Protocol.PLAINTEXT:
            return None
        if not self.kafka_sasl_password:
            return BaseSecurity(ssl_context=self.tls())
        kind = _FASTSTREAM[self.kafka_sasl_mechanism]
        return kind(self.kafka_sasl_username or "", self.kafka_sasl_password.get_secret_value(), ssl_context=self.tls())
