"""The container files, parsed as a container engine parses them."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.sandbox import Json

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def services() -> Json:
    """The services of docker-compose.yml, without variables of the caller's."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
    found: Json = yaml.safe_load(text)["services"]
    return found


@pytest.fixture(scope="session")
def health_check() -> list[str]:
    """The command of the image's health check."""
    (command,) = re.findall(
        r"^HEALTHCHECK .*\\\n\s+CMD (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    arguments: list[str] = json.loads(command)
    return arguments
