"""`make mutants`: makes hundreds of small changes to the product, and counts which the tests detect."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from devtools.embedded_postgres import embedded_postgres
from tests.conftest import READY_SERVER
from tests.support.database import make_template

# A run mostly waits for I/O.
PARALLEL_RUNS = 4
DETECTED = ("killed", "timeout")


def main(chosen: list[str]) -> None:
    """Run mutmut on all mutants, or on those with matching names, with one PostgreSQL server for all runs."""
    mutmut = Path(sys.executable).with_name("mutmut")
    with tempfile.TemporaryDirectory(
        prefix="portal-mutants-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded_postgres(folder / "postgres", durable=False) as server:
            make_template(server.url("postgres"))
            environment = {**os.environ, READY_SERVER: server.url("postgres")}
            subprocess.run(
                [mutmut, "run", "--max-children", str(PARALLEL_RUNS), *chosen], env=environment, check=True
            )
    results = subprocess.run(
        [mutmut, "results", "--all", "true"], stdout=subprocess.PIPE, text=True, check=True
    )
    print(table(results.stdout))


def table(results: str) -> str:
    """A row for each module, then the mutants that survived; `mutmut show <name>` prints their changes."""
    verdicts: dict[str, Counter[str]] = {}
    alive: list[str] = []
    for line in results.splitlines():
        mutant, _, verdict = line.strip().rpartition(": ")
        verdicts.setdefault(mutant.rpartition(".")[0], Counter())[verdict] += 1
        if verdict not in DETECTED:
            alive.append(f"{mutant}: {verdict}")
    rows = [_row(module, counted) for module, counted in sorted(verdicts.items())]
    head = f"{'module':26}{'mutants':>9}{'killed':>9}{'timeout':>9}{'alive':>9}{'score':>9}"
    return "\n".join([head, *rows, _row("all", sum(verdicts.values(), Counter())), "", *alive])


def _row(module: str, counted: Counter[str]) -> str:
    detected = sum(counted[verdict] for verdict in DETECTED)
    alive = counted.total() - detected
    return (
        f"{module:26}{counted.total():>9}{counted['killed']:>9}{counted['timeout']:>9}{alive:>9}"
        f"{detected / counted.total():>9.1%}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
