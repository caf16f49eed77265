"""The Prometheus metrics about calls to Digital River from this process."""

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter(
    "portal_digital_river_calls",
    "Calls to Digital River by result. Each attempt counts.",
    ["method", "route", "result"],
)
CALL_SECONDS = Histogram(
    "portal_digital_river_call_seconds",
    "Duration of one call to Digital River.",
    ["method", "route"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
BUDGET_WAITING = Gauge(
    "portal_digital_river_budget_waiting", "Calls waiting for their turn in the budget.", ["priority"]
)
BUDGET_PER_SECOND = Gauge("portal_digital_river_budget_per_second", "Calls that may leave per second.")
PAUSES = Counter(
    "portal_digital_river_pauses", "Responses with 429. Each of them pauses all calls of the process."
)
PAUSED_UNTIL = Gauge(
    "portal_digital_river_paused_until_timestamp_seconds", "When the latest pause after a 429 ends or ended."
)
BREAKER_OPEN = Gauge(
    "portal_digital_river_breaker_open",
    "1 while the circuit breaker refuses calls or passes single probes only, else 0.",
)
BREAKER_OPENINGS = Counter("portal_digital_river_breaker_openings", "How often the circuit breaker opened.")
