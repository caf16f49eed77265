"""`make chaos MINUTES=5 SEED=7`: minutes of failures in a whole deployment; then a comparison."""

import asyncio
import random
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from tests.chaos.run import run

FOLDER = Path(".data/chaos")
LONGEST_PAUSE = 2.5


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long it blows.")] = 5,
    seed: Annotated[int | None, typer.Option(help="Of the random choices; without it, a new one.")] = None,
) -> None:
    """Cause failures of two APIs and two workers under load; then compare all records."""
    if seed is None:
        seed = random.randrange(1_000_000)
    typer.echo(f"{minutes:g} minutes of failures, seed {seed}. Logs: {FOLDER}")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    comparison = asyncio.run(run(minutes * 60, LONGEST_PAUSE, seed, FOLDER))
    typer.echo(comparison.table())
    for fault in comparison.wrong:
        typer.echo(f"WRONG: {fault}", err=True)
    sys.exit(bool(comparison.wrong))


if __name__ == "__main__":
    command = typer.Typer(pretty_exceptions_enable=False)
    command.command()(main)
    command()
