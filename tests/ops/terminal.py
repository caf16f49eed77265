"""The operator's terminal: `portal …` as a process, with what it prints."""

import asyncio
import os
import sys
from dataclasses import dataclass

from app.settings import Settings
from tests.house import as_environment


@dataclass(frozen=True)
class Printed:
    """How a command ended, and what it said."""

    status: int
    output: str
    errors: str


async def portal_command(settings: Settings, *arguments: str) -> Printed:
    """Run `portal <arguments>` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app.cli", *arguments),
        env={**os.environ, **as_environment(settings)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), timeout=30)
    assert process.returncode is not None
    return Printed(process.returncode, output.decode(), errors.decode())
