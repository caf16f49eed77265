"""The objects that exist as long as the app: the runtime, background tasks, the rate limit."""
