"""The control API under `/_sandbox`: what tests and developers change from outside."""
