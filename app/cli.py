"""The `portal` command: starts the processes, and gives operators their tools."""

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from app.extensions import load_commands
from app.garbage_collection import keep_startup_objects
from app.lean_imports import lean_imports

COMMANDS = ("api", "worker", "migrate", "sweep", "events", "openapi", "config")
"""The product's commands. Each is defined by the module of its name in `app/commands/`."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `portal` with these arguments, or with those of this process."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with keep_startup_objects():
        portal = assemble(next(iter(arguments), None))
    portal(arguments, prog_name="portal")


def assemble(wanted: str | None = None) -> typer.Typer:
    """`portal` with the wanted command; with all, for its help, if the product has no command of this name.

    A process imports only its own command. Alembic, for example, would cost the API 7 MB and a tenth of its
    CPU time until it is ready.
    """
    portal = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    # Without a callback, typer would take a single command as the program itself.
    portal.callback(help="The customer portal: its processes and its operator's tools.")(lambda: None)
    if wanted in COMMANDS:
        with lean_imports():
            portal.add_typer(_import_command(wanted))
        return portal
    for name in COMMANDS:
        portal.add_typer(_import_command(name))
    added = typer.Typer()
    for name, command in load_commands().items():
        added.command(name)(command)
    portal.add_typer(added)
    return portal


def _import_command(name: str) -> typer.Typer:
    commands: typer.Typer = import_module(f"app.commands.{name}").commands
    return commands


if __name__ == "__main__":
    main()
