"""The operator's terminal: `portal …` as a process, with what it prints."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings
from tests.house import as_environment
from tests.processes import Running


@dataclass(frozen=True)
class Printed:
    """How a command ended, and what it said."""

    status: int
    output: str
    errors: str


async def portal_command(settings: Settings, *arguments: str, **environment: str) -> Printed:
    """Run `portal <arguments>` to its end."""
    with tempfile.TemporaryDirectory() as name:
        output, errors = Path(name) / "output", Path(name) / "errors"
        environment = {**as_environment(settings), **environment}
        command = Running.start(arguments, environment, output=output, errors=errors)
        status = await command.wait()
        return Printed(status, output.read_text(), errors.read_text())
