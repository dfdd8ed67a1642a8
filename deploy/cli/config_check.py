"""`sakidashi config check`: validate the environment of a service before it starts."""

import json
import re
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from deploy.service_settings import settings_class
from libs.common.config.settings import ServiceSettings, SettingsError, load
from libs.common.events.topics import ALL_SERVICES

MASK = "********"

_SECRET_NAME = re.compile(r"key|secret|password|token|url|credential")
_PUBLIC_NAMES = ("public_url",)


def _services() -> list[str]:
    return list(ALL_SERVICES)


def check(
    service: Annotated[str, typer.Argument(help=f"One of {', '.join(ALL_SERVICES)}.", autocompletion=_services)],
) -> None:
    """Validate the settings of SERVICE from the environment.

    Prints the effective settings with masked secrets. If any are invalid, prints each variable with its fault and the
    remedy, and exits with 1.
    """
    if service not in ALL_SERVICES:
        raise typer.BadParameter(f"{service!r} is not a service; choose one of {', '.join(ALL_SERVICES)}")
    try:
        settings = load(settings_class(service))
    except SettingsError:
        typer.echo("Set each variable in the environment, or <VARIABLE>_FILE to a file with its value.", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}; correct the *_FILE variable that names this file", err=True)
        raise typer.Exit(1) from None
    for name, info in type(settings).model_fields.items():
        typer.echo(f"{name.upper()}={_shown(settings, name, info)}")


def _shown(settings: ServiceSettings, name: str, info: FieldInfo) -> str:
    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "" or value == {} or value == ():
        return ""
    secret = not info.repr or (_SECRET_NAME.search(name) is not None and name not in _PUBLIC_NAMES)
    return MASK if secret else _text(value)


def _text(value: Any) -> str:
    """Return structured rules as their version, and anything else as it would be written."""
    if hasattr(value, "version"):
        return f"version {value.version}"
    if isinstance(value, dict | list | tuple | set | frozenset):
        return json.dumps(value if isinstance(value, dict) else list(value), default=str, ensure_ascii=False)
    return re.sub(r"://[^/@]*@", f"://{MASK}@", str(value))
