"""Commands that are imported only when they run, so that `--help` and completion stay fast."""

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


class LazyCommand(TyperCommand):
    """Placeholder with a name and a help line; `target` is `module:attribute` of a function or a `typer.Typer`."""

    def __init__(self, name: str, target: str, help: str, panel: str | None = None) -> None:
        super().__init__(name, help=help, rich_help_panel=panel)
        self.target = target

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command and let it parse its own arguments."""
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> Any:
        module, _, attribute = self.target.partition(":")
        value = getattr(importlib.import_module(module), attribute)
        command: Any = get_group(value) if isinstance(value, typer.Typer) else _command_of(value)
        command.name = self.name
        return command


def _command_of(function: Any) -> Any:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return get_command(app)


def group(name: str, help: str, *commands: LazyCommand, panel: str | None = None) -> TyperGroup:
    return TyperGroup(
        name=name,
        help=help,
        rich_help_panel=panel,
        no_args_is_help=True,
        commands={command.name: command for command in commands if command.name},
    )
