"""The main window: wiring and the controllers behind its actions."""
