"""`make bench`: starts the portal and its floors on this machine, and prints measured ratios as one table.

`python -m bench webhooks worker --rounds 3` measures two parts, with fewer rounds. The exit status is 0
even if goals are missed: the table is a report, and on a noisy machine they are missed too.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.database import Databases
from bench.figures import Table
from bench.load import load_processes
from bench.measure import outages, reads, start, webhooks, worker
from bench.measure.context import Bench
from bench.processes import running_sandbox
from devtools.embedded_postgres import embedded_postgres

PARTS: Mapping[str, Callable[[Bench], None]] = {
    "webhooks": webhooks.measure,
    "lists": reads.measure_lists,
    "documents": reads.measure_documents,
    "worker": worker.measure,
    "start": start.measure,
    "outages": outages.measure,
}
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of which the medians are taken")
    arguments = parser.parse_args()
    if unknown := {*arguments.parts} - {*PARTS}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    measure(arguments.parts or list(PARTS), arguments.rounds)


def measure(parts: Sequence[str], rounds: int) -> None:
    """Measure these parts one after the other, and print each figure at once."""
    began = time.monotonic()
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{os.cpu_count()} cores, load averages {load}, medians of {rounds} rounds\n")
    with (
        tempfile.TemporaryDirectory(
            prefix="portal-bench-", dir="/var/tmp", ignore_cleanup_errors=True
        ) as name,
        load_processes() as load_generators,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        with embedded_postgres(folder / "postgres") as server, running_sandbox() as sandbox:
            databases = Databases(server)
            databases.prepare()
            bench = Bench(databases, sandbox, load_generators, Table(), rounds)
            for part in parts:
                PARTS[part](bench)
    bench.table.print_summary()
    print(f"It took {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
