"""A storm's lies are the dial's, and it knows all of them."""

import random

from tests.chaos import lies
from tests.support.sandbox import Sandbox


async def test_the_dial_takes_every_lie_that_can_be_drawn(sandbox: Sandbox) -> None:
    dial: dict[str, list[str]] = (await sandbox.get("/_sandbox/lies"))["lies"]
    tables = [*lies.OF_CALLS.values(), lies.OF_ORDERS, lies.OF_DELIVERIES]
    assert {kind for table in tables for kind in table} == dial.keys()
    for table in tables:
        for kind, variants in table.items():
            assert variants
            assert {variant for variant in variants if variant} <= {*dial[kind]}, kind
    dice = random.Random(7)
    for _ in range(200):
        fault = lies.draw(dice, ["188418250336"])
        await sandbox.fault(fault.pop("kind"), **fault)
