"""`portal sweep`."""

from datetime import timedelta
from typing import Annotated

import typer

from app.commands.environment import run_with_resources
from app.webhooks.sweep import SweepBusy, sweep_now
from app.webhooks.sweep_log import EVENT_HISTORY
from app.worker.handlers import HANDLERS

commands = typer.Typer()


@commands.command()
def sweep(
    days: Annotated[
        int | None,
        typer.Option(
            min=1, max=EVENT_HISTORY.days, help="How far back to look; by default since the last sweep."
        ),
    ] = None,
) -> None:
    """Fetch missed events from Digital River now; a worker handles those that are found."""
    lookback = None if days is None else timedelta(days=days)
    try:
        result = run_with_resources(lambda resources: sweep_now(resources, HANDLERS, lookback))
    except SweepBusy:
        raise SystemExit("Another process is sweeping just now; see /ops/status.") from None
    typer.echo(
        f"{result.seen} events seen, {result.found} of them were missing "
        f"({result.overdue} overdue), {result.unreadable} unreadable."
    )
