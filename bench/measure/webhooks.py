"""Deliveries: at full load beside the floor, and at fixed rates."""

from bench.deliveries import HANDLED_TYPE, PATH, deliveries, event, sign
from bench.figures import MILLISECONDS, Goal, percentile
from bench.measure.context import Bench
from bench.measure.pairs import Side, add_full_load, add_other_answers, run_rounds, warm_up
from bench.processes import fetch, running_api, running_floor

EVENTS = 4000
# Events per second, and the seconds of a turn.
RATES = ((200, 3), (1000, 3))
RATE_GOALS = {200: Goal(must=50)}


def measure(bench: Bench) -> None:
    """No worker runs, so the events stay pending."""
    url = bench.databases.fresh()
    with running_floor(url, "webhooks") as bare, running_api(url, bench.sandbox) as api:
        floor, portal = Side(bare, deliveries, 202), Side(api, deliveries, 202)
        _assert_same_answers(bare.port, api.port)
        warm_up(bench, floor, portal)
        bench.table.add_heading("Webhooks; floor: bare Starlette + asyncpg that verifies and inserts")
        add_full_load(
            bench,
            "webhooks accepted",
            run_rounds(bench, floor, portal, EVENTS),
            throughput=Goal(must=1.2, aim=1.5, higher_is_better=True),
            cpu=Goal(must=0.9, aim=0.7),
        )
        for rate, seconds in RATES:
            _measure_rate(bench, floor, portal, rate, seconds)


def _measure_rate(bench: Bench, floor: Side, portal: Side, rate: int, seconds: int) -> None:
    rounds = run_rounds(bench, floor, portal, rate * seconds, rate)
    table = bench.table
    table.add(f"  p50 at {rate} events/s, portal", [r.portal.milliseconds(0.5) for r in rounds], MILLISECONDS)
    table.add("    floor", [r.floor.milliseconds(0.5) for r in rounds], MILLISECONDS)
    goal = RATE_GOALS.get(rate)
    p99 = [r.portal.milliseconds(0.99) for r in rounds]
    table.add(f"  p99 at {rate} events/s, portal", p99, MILLISECONDS, goal)
    table.add("    floor", [r.floor.milliseconds(0.99) for r in rounds], MILLISECONDS)
    add_other_answers(bench, rounds)
    delays = [1000 * percentile(r.portal.outcome.delays, 0.99) for r in rounds]
    table.add("    of that, load generator late, p99", delays, MILLISECONDS)


def _assert_same_answers(floor: int, portal: int) -> None:
    body = str(event(HANDLED_TYPE, {})).replace("'", '"').replace("False", "false").encode()
    answers = [fetch(port, PATH, sign(body), body) for port in (floor, portal)]
    assert answers[0] == answers[1], answers
