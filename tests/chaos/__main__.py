"""`make chaos MINUTES=5 SEED=7`: a storm of so many minutes over a whole deployment; then the reckoning."""

import asyncio
import random
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from tests.chaos.run import run

FOLDER = Path(".data/chaos")
CALM = 2.5


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long it blows.")] = 5,
    seed: Annotated[int | None, typer.Option(help="Of the storm's dice; without it, a new one.")] = None,
) -> None:
    """Kill, cut off and confuse two APIs and two workers under load; then compare all ledgers."""
    if seed is None:
        seed = random.randrange(1_000_000)
    typer.echo(f"A storm of {minutes:g} minutes, seed {seed}. Logs: {FOLDER}")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    reckoning = asyncio.run(run(minutes * 60, CALM, seed, FOLDER))
    typer.echo(reckoning.table())
    for fault in reckoning.wrong:
        typer.echo(f"WRONG: {fault}", err=True)
    sys.exit(bool(reckoning.wrong))


if __name__ == "__main__":
    command = typer.Typer(pretty_exceptions_enable=False)
    command.command()(main)
    command()
