"""Databases of the services by name, as operators' commands read them from DATABASE_URLS."""

from urllib.parse import urlsplit

import typer

from libs.common.events.topics import SERVICES


def databases(urls: str) -> dict[str, str]:
    """The databases by service: `service=url`, or a URL whose database has the name of the service."""
    found: dict[str, str] = {}
    for entry in urls.split():
        name, separator, url = entry.partition("=")
        if not (separator and name in SERVICES):
            name, url = urlsplit(entry).path.removeprefix("/"), entry
        if name not in SERVICES:
            raise typer.BadParameter(f"{name!r} is not a service; write {SERVICES[0]}=postgresql://...")
        found[name] = url
    if not found:
        raise typer.BadParameter("DATABASE_URLS: empty; name the database of each service")
    return found
