"""Reference page of the command `sakidashi`, generated from the commands themselves."""

from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from deploy.cli.lazy import LazyCommand
from deploy.cli.main import app


def cli_page() -> str:
    """Every command with its arguments, options and the variables that they are read from."""
    text = [
        "# Command line",
        "",
        "`make env` installs the launcher `.venv/bin/sakidashi`; in the image of the target `operations` it is",
        "`python -m deploy.cli`. Options with a variable are read from it, as the services do.",
    ]
    for path, command in _commands(get_command(app), "sakidashi"):
        text += ["", f"## {path}", "", *_paragraphs(command.help or "")]
        if parameters := [each for each in command.params if each.name != "help"]:
            text += ["", "| Argument or option | Variable | Meaning |", "| --- | --- | --- |"]
            text += [_row(each) for each in parameters]
    return "\n".join(text) + "\n"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    found = command.load() if isinstance(command, LazyCommand) else command
    if not isinstance(found, TyperGroup):
        yield path, found
        return
    for name, child in found.commands.items():
        yield from _commands(child, f"{path} {name}")


def _paragraphs(text: str) -> list[str]:
    lines = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return "\n\n".join(lines).split("\n")


def _row(parameter: Any) -> str:
    name = parameter.opts[0] if parameter.param_type_name == "option" else f"<{parameter.name}>"
    variable = f"`{parameter.envvar}`" if parameter.envvar else ""
    meaning = " ".join((parameter.help or "").split()).replace("|", "\\|")
    required = "Required." if parameter.required else ""
    return f"| `{name}` | {variable} | {' '.join(filter(None, (meaning, required)))} |"
