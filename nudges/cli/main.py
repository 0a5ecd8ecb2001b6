"""`python -m nudges`: which command lives where."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click

# command → module and name. Loaded when called for: `lint` and `screen` need neither Flask nor a database.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("nudges.cli.service", "serve"),
    "worker": ("nudges.cli.worker", "worker"),
    "migrate": ("nudges.cli.service", "migrate"),
    "demo": ("nudges.cli.service", "make_demo"),
    "create-admin": ("nudges.cli.service", "create_admin"),
    "import-families": ("nudges.cli.importing", "import_families"),
    "export-parent": ("nudges.cli.exporting", "export_parent"),
    "erase-parent": ("nudges.cli.exporting", "erase_parent"),
    "move": ("nudges.cli.move", "move"),
    "backup": ("nudges.cli.backup", "backup"),
    "restore-check": ("nudges.cli.backup", "restore_check"),
    "restored": ("nudges.cli.backup", "restored"),
    "doctor": ("nudges.cli.doctor", "doctor"),
    "screen": ("nudges.cli.screen", "screen"),
    "drill": ("nudges.cli.drill", "drill"),
    "simulate": ("nudges.cli.simulate", "simulate"),
    "lint": ("nudges.cli.lint", "lint"),
    "schema": ("nudges.cli.lint", "schema"),
    "book": ("nudges.cli.book", "book"),
}


class _Commands(click.Group):
    """Finds a command by name and imports only the module that it lives in."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Texts parents at the few moments that help, waits when waiting helps, and answers danger at once."""
