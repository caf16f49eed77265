"""`portal config`."""

import typer

from app.settings.reference import render_reference

commands = typer.Typer()


@commands.command()
def config() -> None:
    """Print the reference of all settings, as Markdown."""
    typer.echo(render_reference(), nl=False)
