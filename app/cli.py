"""The `portal` command: starts the processes, and gives operators their tools."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, TextIO, TypeVar

import typer
import uvicorn
from alembic.util import CommandError
from pydantic import SecretStr

from app.db import migrate as migration
from app.db.errors import DATABASE_ERRORS, describe_error
from app.digital_river.errors import DigitalRiverError
from app.extensions import load_commands, load_development_database
from app.garbage_collection import freeze_startup_objects
from app.ids import EventId
from app.logging import configure
from app.main import create_app
from app.ops import cli_views
from app.resources import Resources, open_resources
from app.settings import Settings, read_settings
from app.settings.reference import render_reference
from app.web import server
from app.webhooks.inbox import State
from app.webhooks.sweep import SweepBusy, sweep_now
from app.webhooks.sweep_log import EVENT_HISTORY
from app.worker.handlers import HANDLERS
from app.worker.loop import run_worker

GRACE_SECONDS = 20
LOOPBACK = ("127.0.0.1", "::1")

main = typer.Typer(
    help="The customer portal: its processes and its operator's tools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
events = typer.Typer(help="Show the events in the inbox, and revive stuck ones.", no_args_is_help=True)
main.add_typer(events, name="events")

_T = TypeVar("_T")


@contextmanager
def _settings_with_database(log_to: TextIO | None = None) -> Iterator[Settings]:
    """The settings, with the configured database or, if none is configured, the development database."""
    settings = read_settings()
    configure(with_messages=settings.environment == "development", stream=log_to)
    if settings.database_url.get_secret_value():
        yield settings
        return
    try:
        open_database = load_development_database()
    except LookupError as error:
        raise SystemExit(str(error)) from None
    with open_database(settings.data_dir) as url:
        yield settings.model_copy(update={"database_url": SecretStr(url)})


@contextmanager
def _one_line_errors(settings: Settings) -> Iterator[None]:
    """Report failures that an operator can repair in one line: a traceback adds nothing to it."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise SystemExit(describe_error(error, settings.database_url.get_secret_value())) from None
    except CommandError as error:
        # From Alembic: for example, the database has a revision that this version does not know.
        raise SystemExit(f"The database cannot be migrated: {error}") from None


def _with_resources(action: Callable[[Resources], Awaitable[_T]]) -> _T:
    """Run `action` for an operator in a terminal: its output is for people, logs go to standard error."""

    async def run(settings: Settings) -> _T:
        async with open_resources(settings) as resources:
            return await action(resources)

    with _settings_with_database(log_to=sys.stderr) as settings:
        try:
            with _one_line_errors(settings):
                return asyncio.run(run(settings))
        except DigitalRiverError as error:
            raise SystemExit(f"Digital River: {type(error).__name__}: {error}") from None


@main.command()
def api() -> None:
    """Serve the HTTP API."""
    with _settings_with_database() as settings:
        app = create_app(settings)
        freeze_startup_objects()
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            http=server.BoundedProtocol,
            ws="none",
            timeout_keep_alive=server.KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            # Always given. Otherwise uvicorn reads FORWARDED_ALLOW_IPS, which may trust every address.
            forwarded_allow_ips=[*LOOPBACK, *map(str, settings.trusted_proxies)],
        )


@main.command()
def worker() -> None:
    """Handle events from the inbox."""
    with _settings_with_database() as settings:
        freeze_startup_objects()
        asyncio.run(run_worker(settings))


@main.command()
def migrate() -> None:
    """Migrate the database to the schema of this version."""
    with _settings_with_database() as settings, _one_line_errors(settings):
        migration.upgrade(settings.database_url.get_secret_value())


@main.command()
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
        result = _with_resources(lambda resources: sweep_now(resources, HANDLERS, lookback))
    except SweepBusy:
        raise SystemExit("Another process is sweeping just now; see /ops/status.") from None
    typer.echo(
        f"{result.seen} events seen, {result.found} of them were missing "
        f"({result.overdue} overdue), {result.unreadable} unreadable."
    )


@events.command("list")
def list_events(
    state: Annotated[State | None, typer.Option(help="Only events in this state.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    order: Annotated[str | None, typer.Option(help="Only events about this order.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Events, the last received first."""
    typer.echo(
        _with_resources(
            lambda resources: cli_views.list_events(
                resources.engine, state=state, event_type=event_type, order_id=order, limit=limit
            )
        )
    )


@events.command("show")
def show_event(event_id: str) -> None:
    """One event, with the error of each attempt."""
    shown = _with_resources(lambda resources: cli_views.show_event(resources.engine, EventId(event_id)))
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
        count = _with_resources(
            lambda resources: cli_views.revive_all(resources.engine, event_type, HANDLERS)
        )
        typer.echo(f"{count} events revived.")
        return
    ids = [EventId(event_id) for event_id in event_ids or ()]
    refused = _with_resources(lambda resources: cli_views.revive(resources.engine, ids, HANDLERS))
    typer.echo(f"{len(ids) - len(refused)} events revived.")
    if refused:
        raise SystemExit(f"Not stuck or not known: {', '.join(refused)}")


def _documentation_settings() -> Settings:
    """Placeholder settings, only to build the OpenAPI document."""
    return Settings(
        environment="development",
        digital_river_secret_key=SecretStr("none"),
        webhook_secrets=(SecretStr("none"),),
        oidc_issuer="http://localhost",
        oidc_audience="portal",
    )


@main.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    document = create_app(_documentation_settings()).openapi()
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


@main.command()
def config() -> None:
    """Print the reference of all settings, as Markdown."""
    typer.echo(render_reference(), nl=False)


for _name, _command in load_commands().items():
    main.command(_name)(_command)


if __name__ == "__main__":
    main()
