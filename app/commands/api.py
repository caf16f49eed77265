"""`portal api`."""

import typer
import uvicorn

from app.commands.environment import settings_with_database
from app.main import create_app
from app.web import server

GRACE_SECONDS = 20
LOOPBACK = ("127.0.0.1", "::1")

commands = typer.Typer()


@commands.command()
def api() -> None:
    """Serve the HTTP API."""
    with settings_with_database() as settings:
        uvicorn.run(
            create_app(settings),
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
