"""`sakidashi deliver-mail`: one mail from standard input to intake, as the last step of a mail server.

Exit codes are those of `sysexits.h`, by which Postfix, Exim and fetchmail know whether to keep a mail and try again.
"""

import sys
from os import EX_DATAERR, EX_NOPERM, EX_OK, EX_TEMPFAIL
from typing import Annotated

import httpx
import typer

SECONDS = 60.0


def main(
    url: Annotated[str, typer.Option(envvar="INTAKE_URL", help="Address of intake.")],
    key: Annotated[str, typer.Option(envvar="MAIL_KEY", help="Its API key `mail`.")],
) -> None:
    """Pass the mail on standard input to intake.

    Exit code 75: try again later. 65: no mail, or too large. 77: the key is wrong. Other codes mean a wrong command.
    """
    raw = sys.stdin.buffer.read()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "message/rfc822"}
    try:
        answer = httpx.post(f"{url.rstrip('/')}/v1/mail", content=raw, headers=headers, timeout=SECONDS)
    except httpx.HTTPError as error:
        typer.echo(f"intake at {url} does not answer: {error!r}; the mail has to be delivered again", err=True)
        raise typer.Exit(EX_TEMPFAIL) from None
    if not answer.is_success:
        typer.echo(answer.text[:500], err=True)
    raise typer.Exit(exit_code(answer.status_code))


def exit_code(status: int) -> int:
    """Return the exit code for an HTTP status."""
    if status < 300:
        return EX_OK
    if status in (401, 403):
        return EX_NOPERM
    return EX_DATAERR if status in (400, 413, 422) else EX_TEMPFAIL
