"""What operators see of connections that a client, not we, kept from coming to an end."""

from prometheus_client import Counter

ENDED = Counter(
    "portal_connections_ended",
    "Connections that were ended because of their client: malformed, head-too-large or request-timeout (told "
    "so), silent (nothing came), unfinished (a body whose request was answered long ago), unread (the client "
    "takes no answer), crowded-out (the oldest that waited for its client, when there were too many).",
    ["reason"],
)
