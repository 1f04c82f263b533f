"""Speed and memory, measured: `main.py bench`. Nothing here runs in a timed test."""
