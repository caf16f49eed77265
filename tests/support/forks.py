"""Processes that are forked from a server which has imported the product and the sandbox once.

The import costs more than all else that a short command does, and the suite starts dozens.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from app import cli

_FORKS = multiprocessing.get_context("forkserver")
# What runs in the processes, and what they import to find it, which cost each of them 0.16 s of CPU time.
_COMMANDS = [f"app.commands.{name}" for name in cli.COMMANDS]
_FORKS.set_forkserver_preload([*_COMMANDS, "sandbox.app", "tests.support.processes"])


def _run(
    function: Callable[[], None], environment: Mapping[str, str], output: str | Connection, errors: str
) -> None:
    os.environ.update(environment)
    for number, end in ((1, output), (2, errors)):
        target = (
            end.fileno()
            if isinstance(end, Connection)
            else os.open(end, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        )
        os.dup2(target, number)
    function()


def start(
    function: Callable[[], None],
    environment: Mapping[str, str],
    *,
    output: str | Connection = os.devnull,
    errors: str = os.devnull,
) -> ForkServerProcess:
    """Run the function in a process with this environment, which ends with this one at the latest. What it
    prints goes to the ends of these files, or into a pipe."""
    process = _FORKS.Process(target=_run, args=(function, dict(environment), output, errors), daemon=True)
    process.start()
    return process


def pipe() -> tuple[Connection, Connection]:
    """A pipe to read from and to write into."""
    return _FORKS.Pipe(duplex=False)
