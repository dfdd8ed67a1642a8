"""Setting with the keys of personal columns, of every service and of the commands that read them."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIN_LENGTH = 32


def _parse_keys(value: object) -> object:
    if not isinstance(value, str):
        return value
    keys = tuple(filter(None, (part.strip() for part in value.split(","))))
    if any(len(key) < MIN_LENGTH for key in keys):
        raise ValueError(f"too short; use keys of {MIN_LENGTH} characters or more, with commas between them")
    if len(set(keys)) < len(keys):
        raise ValueError("contains a key twice; name each key once, the newest first")
    return keys


class ColumnKeySettings(BaseSettings):
    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True, hide_input_in_errors=True)

    personal_data_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_parse_keys)] = Field(
        default=(), repr=False
    )
    """Keys that encrypt addresses and contacts in the database, `new,old` during rotation; unset: stored in clear."""
