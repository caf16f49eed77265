"""`portal worker`."""

import asyncio

import typer

from app.commands.environment import settings_with_database
from app.worker.loop import run_worker

commands = typer.Typer()


@commands.command()
def worker() -> None:
    """Handle events from the inbox."""
    with settings_with_database() as settings:
        asyncio.run(run_worker(settings))
