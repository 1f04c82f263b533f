"""The tracker: one `step` per frame (the Python API; the CLI and the session use nothing else)."""
