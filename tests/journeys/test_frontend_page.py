"""The calls in docs/frontend.md and in the tour of README.md work.

bash and curl make them against a portal with a seeded buyer. A block of a page runs if it is marked `sh`.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.portal import Portal
from tests.support.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
# What the pages call the API of `make dev`, and where that puts the buyer's token.
ADDRESS = "http://127.0.0.1:8000"
HEADER = Path(".data") / "buyer"
# curl says of each call what became of it, and nothing of that gets into the pages' own pipes.
CURLRC = 'write-out = "%{stderr}%{http_code} %{url_effective}\\n"\n'

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        not (shutil.which("bash") and shutil.which("curl")), reason="the pages' calls need bash and curl"
    ),
    pytest.mark.timeout(120),
]


@dataclass(frozen=True)
class Call:
    """A call that a page made."""

    status: int
    url: str


def script_of(page: str) -> str:
    """All blocks of the page that are marked `sh`."""
    return "".join(re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture
async def folder(portal: Portal, sandbox: Sandbox, tmp_path: Path) -> Path:
    """A folder with the token of a buyer that was seeded as `make dev` does it, and curl's configuration."""
    seed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.seed", "--sandbox", sandbox.url, "--portal", portal.url),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await seed.communicate()
    assert seed.returncode == 0
    token = json.loads(output.splitlines()[-1])["token"]
    (tmp_path / HEADER).parent.mkdir()
    (tmp_path / HEADER).write_text(f"Authorization: Bearer {token}\n")
    (tmp_path / ".curlrc").write_text(CURLRC)
    return tmp_path


async def run(script: str, folder: Path, portal: Portal) -> list[Call]:
    """Run the script in one bash in the folder; returns its calls in their order."""
    bash = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-u", "-o", "pipefail", "-c", script.replace(ADDRESS, portal.url)),
        cwd=folder,
        # Without variables of the machine, which may name a proxy.
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "CURL_HOME": str(folder)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await bash.communicate()
    assert bash.returncode == 0, errors.decode()
    calls = [line.split(" ", 1) for line in errors.decode().splitlines()]
    return [Call(int(status), url) for status, url in calls]


async def test_each_call_of_the_frontend_page_answers_with_the_documented_status(
    folder: Path, portal: Portal
) -> None:
    script = script_of("docs/frontend.md")
    promised = [int(status) for status in re.findall(r"#\s(\d{3})$", script, re.MULTILINE)]
    calls = await run(script, folder, portal)
    assert len(calls) == len(promised)
    wrong = [(call, status) for call, status in zip(calls, promised, strict=True) if call.status != status]
    assert not wrong
    assert len(calls) > 20
    assert (folder / "invoice.pdf").read_bytes().startswith(b"%PDF")


async def test_each_call_of_the_tour_succeeds(folder: Path, portal: Portal) -> None:
    calls = await run(script_of("README.md"), folder, portal)
    assert not [call for call in calls if not httpx.codes.OK <= call.status < httpx.codes.BAD_REQUEST]
    assert len(calls) > 10
