"""`portal events`: shows the events in the inbox, and revives stuck ones."""

from typing import Annotated

import typer

from app.commands.environment import run_with_resources
from app.ids import EventId
from app.ops import cli_views
from app.webhooks.inbox import State
from app.worker.handlers import HANDLERS

commands = typer.Typer()
events = typer.Typer(help="Show the events in the inbox, and revive stuck ones.", no_args_is_help=True)
commands.add_typer(events, name="events")


@events.command("list")
def list_events(
    state: Annotated[State | None, typer.Option(help="Only events in this state.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    order: Annotated[str | None, typer.Option(help="Only events about this order.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Events, the last received first."""
    typer.echo(
        run_with_resources(
            lambda resources: cli_views.list_events(
                resources.engine, state=state, event_type=event_type, order_id=order, limit=limit
            )
        )
    )


@events.command("show")
def show_event(event_id: str) -> None:
    """One event, with the error of each attempt."""
    shown = run_with_resources(lambda resources: cli_views.show_event(resources.engine, EventId(event_id)))
    if shown is None:
        raise SystemExit(f"There is no event {event_id}.")
    typer.echo(shown)


@events.command("revive")
def revive_events(
    event_ids: Annotated[list[str] | None, typer.Argument(help="Ids of events; or use --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All stuck events.")] = False,
    event_type: Annotated[str | None, typer.Option("--type", help="With --all: only of this type.")] = None,
) -> None:
    """Handle stuck events now. A buried event gets its full number of attempts again. An event that waits
    after a failure becomes due now. An ignored event counts as stuck if its type has a handler now and the
    command names the event or its type."""
    if bool(event_ids) == everything:
        raise typer.BadParameter("name the events, or use --all")
    if everything:
        count = run_with_resources(
            lambda resources: cli_views.revive_all(resources.engine, event_type, HANDLERS)
        )
        typer.echo(f"{count} events revived.")
        return
    ids = [EventId(event_id) for event_id in event_ids or ()]
    refused = run_with_resources(lambda resources: cli_views.revive(resources.engine, ids, HANDLERS))
    typer.echo(f"{len(ids) - len(refused)} events revived.")
    if refused:
        raise SystemExit(f"Not stuck or not known: {', '.join(refused)}")
