"""Migrates a database to the schema that this version of the code expects."""

from pathlib import Path

from alembic import command
from alembic.config import Config

import migrations


def alembic_config(url: str) -> Config:
    """The configuration of alembic's commands for the database at `url`."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["database_url"] = url
    return config


def upgrade(url: str) -> None:
    """Run all migrations that the database lacks. Several processes may call it at once."""
    command.upgrade(alembic_config(url), "head")
