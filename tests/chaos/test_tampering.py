"""The sandbox accepts every tampering that a chaos run can draw, and a run can draw every kind."""

import random

import pytest

from tests.chaos import tampering
from tests.support.sandbox import Sandbox


@pytest.mark.proof
async def test_the_sandbox_takes_every_tampering_that_can_be_drawn(sandbox: Sandbox) -> None:
    dial: dict[str, list[str]] = (await sandbox.get("/_sandbox/lies"))["lies"]
    tables = [*tampering.OF_CALLS.values(), tampering.OF_ORDERS, tampering.OF_DELIVERIES]
    assert {kind for table in tables for kind in table} == dial.keys()
    for table in tables:
        for kind, variants in table.items():
            assert variants
            assert {variant for variant in variants if variant} <= {*dial[kind]}, kind
    rng = random.Random(7)
    for _ in range(200):
        fault = tampering.draw(rng, ["188418250336"])
        await sandbox.fault(fault.pop("kind"), **fault)
