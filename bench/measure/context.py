"""What each part of the benchmark is given."""

from dataclasses import dataclass

from bench.database import Databases
from bench.figures import Table
from bench.load import LoadProcesses

# The load is sent over so many.
CONNECTIONS = 32


@dataclass(frozen=True)
class Bench:
    """The machinery of one run. Each figure is the median of `rounds` rounds."""

    databases: Databases
    sandbox: str
    load: LoadProcesses
    table: Table
    rounds: int
