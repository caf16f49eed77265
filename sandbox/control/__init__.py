"""The control API under `/_sandbox`: through which tests and developers change the sandbox."""
