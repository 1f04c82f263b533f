"""Threads, mailboxes and the session the app talks to."""
