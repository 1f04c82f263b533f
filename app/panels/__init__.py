"""Bars, docks and overlays of the main window. Each shows state and emits signals; none knows the session."""
