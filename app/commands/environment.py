"""What the commands run in: settings, logs, database and resources, with failures reported in one line."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from pydantic import SecretStr

from app.db.errors import DATABASE_ERRORS, describe_error
from app.digital_river.errors import DigitalRiverError
from app.extensions import load_development_database
from app.logging import configure
from app.resources import Resources, open_resources
from app.settings import Settings, read_settings

_T = TypeVar("_T")


@contextmanager
def settings_with_database(log_to: TextIO | None = None) -> Iterator[Settings]:
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
def database_errors_in_one_line(settings: Settings) -> Iterator[None]:
    """Report failures that an operator can repair in one line: a traceback adds nothing to it."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise SystemExit(describe_error(error, settings.database_url.get_secret_value())) from None


def run_with_resources(action: Callable[[Resources], Awaitable[_T]]) -> _T:
    """Run `action` for an operator in a terminal: its output is for people, logs go to standard error."""

    async def run(settings: Settings) -> _T:
        async with open_resources(settings) as resources:
            return await action(resources)

    with settings_with_database(log_to=sys.stderr) as settings:
        try:
            with database_errors_in_one_line(settings):
                return asyncio.run(run(settings))
        except DigitalRiverError as error:
            raise SystemExit(f"Digital River: {type(error).__name__}: {error}") from None
