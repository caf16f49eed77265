"""The operator's hands: every process of the product, by name."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer
import uvicorn
from pydantic import SecretStr

from app import dev as development
from app.db import migrate as migration
from app.db.embedded import EmbeddedPostgresError, embedded_postgres
from app.main import create_app
from app.settings import Settings, read_settings
from app.web.logs import configure
from app.worker import work

# Load balancers keep idle connections for a minute; closing first would lose a request now and then.
KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 20

main = typer.Typer(
    help="The customer portal: its processes and its operator's tools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@contextmanager
def _ready_settings() -> Iterator[Settings]:
    """The settings with a database: the given one or, in development, an embedded server for the block."""
    settings = read_settings()
    configure(with_messages=settings.environment == "development")
    if settings.database_url.get_secret_value():
        yield settings
        return
    with embedded_postgres(settings.data_dir / "postgres") as server:
        yield settings.model_copy(update={"database_url": SecretStr(server.url("postgres"))})


@main.command()
def dev() -> None:
    """Run the whole product on this machine: PostgreSQL, the sandbox, API and worker, with a seeded buyer."""
    try:
        development.run()
    except (development.DevelopmentError, EmbeddedPostgresError) as error:
        raise SystemExit(str(error)) from None


@main.command()
def api() -> None:
    """Serve the HTTP API."""
    with _ready_settings() as settings:
        uvicorn.run(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )


@main.command()
def worker() -> None:
    """Handle events from the inbox."""
    with _ready_settings() as settings:
        asyncio.run(work(settings))


@main.command()
def migrate() -> None:
    """Bring the database to the schema of this version."""
    with _ready_settings() as settings:
        migration.upgrade(settings.database_url.get_secret_value())


@main.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    document = create_app(development.documentation_settings()).openapi()
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
