"""No disk space for files: uploads fail with a clear answer, and no other request is affected."""

import json
import resource
import signal
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.clock import eventually
from tests.support.portal import as_environment, settings_for
from tests.support.processes import Running, free_port, is_ready
from tests.support.sandbox import Json, Sandbox

pytestmark = pytest.mark.proof

SMALL, LARGE = 100 * 1024, 400 * 1024


def keep_temporary_files_nowhere() -> None:
    tempfile.tempdir = "/nowhere"


def write_no_file_longer_than(size: int) -> None:
    """The kernel refuses the rest, as it does on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def certificate(size: int) -> dict[str, tuple[str, bytes]]:
    return {"file": ("exempt.pdf", b"%PDF-1.7".ljust(size, b" "))}


FIELDS = {
    "company": "Analytical Engines",
    "authority": "MN",
    "startDate": "2026-01-01",
    "endDate": "2026-12-31",
}


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (keep_temporary_files_nowhere, "ENOENT"),
        (partial(write_no_file_longer_than, 200 * 1024), "EFBIG"),
        # The error comes only when Python flushes its buffer.
        (partial(write_no_file_longer_than, LARGE - 1), "EFBIG"),
    ],
)
async def test_an_upload_without_room_is_no_outage_of_the_database(
    own_database_url: str,
    sandbox: Sandbox,
    http: httpx.AsyncClient,
    tmp_path: Path,
    before: Callable[[], None],
    reason: str,
) -> None:
    port, log = free_port(), tmp_path / "log"
    path = f"http://127.0.0.1:{port}/v1/customers/me/tax-certificates"
    environment = {**as_environment(settings_for(own_database_url, sandbox.url)), "PORTAL_PORT": str(port)}
    api = Running.start(["api"], environment, output=log, first=before)
    try:
        await eventually(lambda: is_ready(http, f"http://127.0.0.1:{port}"))
        token = await sandbox.token("ada")
        refused = await http.post(path, headers=token, data=FIELDS, files=certificate(LARGE))
        problem: Json = refused.json()
        assert (refused.status_code, problem["type"]) == (507, "urn:portal:problem:insufficient-storage")
        assert (await http.get(path, headers=token)).json()["data"] == []
        taken = await http.post(path, headers=token, data=FIELDS, files=certificate(SMALL))
        assert taken.status_code == 201
    finally:
        await api.end(signal.SIGKILL)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["reason"] for line in lines if line["event"] == "upload.not_spooled"] == [reason]
    assert not [line for line in lines if line["event"] in ("database_unavailable", "unhandled_error")]
