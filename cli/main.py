"""`./run COMMAND`: every command of Sluice."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click

from shared.config import BadSettings

# Each is imported when it is asked for: half of them need no store, no database and no broker.
_COMMANDS: Final[Mapping[str, str]] = {
    "audit": "cli.audit",
    "env": "cli.environment",
    "import-local": "cli.importing",
    "listen": "cli.listen",
    "make-bucket": "cli.store",
    "migrate": "cli.store",
    "public-acls": "cli.public_acls",
    "sweep": "cli.sweep",
    "token": "cli.token",
}


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        found: click.Command = getattr(import_module(module), cmd_name.replace("-", "_"))
        return found


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Sluice, a self-hosted upload pipeline."""


def main() -> None:
    try:
        commands()
    except BadSettings as error:
        sys.exit(f"sluice: {error}")
