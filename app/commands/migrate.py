"""`portal migrate`."""

import typer
from alembic.util import CommandError

from app.commands.environment import database_errors_in_one_line, settings_with_database
from app.db import migrate as migration

commands = typer.Typer()


@commands.command()
def migrate() -> None:
    """Migrate the database to the schema of this version."""
    with settings_with_database() as settings, database_errors_in_one_line(settings):
        try:
            migration.upgrade(settings.database_url.get_secret_value())
        except CommandError as error:
            # For example, the database has a revision that this version does not know.
            raise SystemExit(f"The database cannot be migrated: {error}") from None
