"""Prometheus metrics of webhook deliveries, sweeps and the handling of events."""

from prometheus_client import Counter, Histogram

DELIVERIES = Counter(
    "portal_webhook_deliveries",
    "Deliveries at the webhook endpoint whose body was read, by result and by the secret that signed them "
    "(0 is the newest).",
    ["result", "secret"],
)
SWEEPS = Counter("portal_sweeps", "Sweeps that have ended.", ["result"])
SWEPT_EVENTS = Counter(
    "portal_sweep_events",
    "Events that a sweep looked at: known, young (new, may have been on its way), overdue (new, its webhook "
    "did not come) or unreadable.",
    ["result"],
)
HANDLED = Counter("portal_events_handled", "Attempts at an event, by how they ended.", ["type", "result"])
HANDLING_SECONDS = Histogram(
    "portal_event_handling_seconds",
    "Duration of one attempt at an event.",
    ["type"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
EVENT_AGE_SECONDS = Histogram(
    "portal_event_age_seconds",
    "From receiving an event to being done with it.",
    ["type"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200, 172800),
)
