"""``main.py doctor``: check this machine; exit code 1 when something LiveMask needs is broken."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.doctor import Check

EXIT_HEALTHY, EXIT_BROKEN = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for a bug report or a program")


def run(options: argparse.Namespace) -> int:
    from engine.doctor import Status, diagnose

    checks = diagnose()
    broken = any(check.status is Status.FAIL for check in checks)
    print(as_json(checks) if options.json else as_text(checks))
    return EXIT_BROKEN if broken else EXIT_HEALTHY


def as_text(checks: Sequence[Check]) -> str:
    """A line per check; problems are followed by what mends them; a verdict at the end."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.status.value:<5} {check.name:<{width}}  {check.detail}")
        if check.remedy:
            lines.append(f"{'':<5} {'':<{width}}  -> {check.remedy}")
    problems = sum(bool(check.remedy) for check in checks)
    broken = sum(check.status.value == "fail" for check in checks)
    if broken:
        lines.append(f"\nLiveMask cannot work fully here: {broken} broken, {problems - broken} more to know of.")
    elif problems:
        lines.append(f"\nLiveMask works here; {problems} thing{'s' if problems > 1 else ''} to know of.")
    else:
        lines.append("\nEverything is in order.")
    return "\n".join(lines)


def as_json(checks: Sequence[Check]) -> str:
    from engine.version import VERSION

    rows = [
        {"name": check.name, "status": check.status.value, "detail": check.detail, "remedy": check.remedy}
        for check in checks
    ]
    return json.dumps(
        {"version": VERSION, "ok": all(row["status"] != "fail" for row in rows), "checks": rows}, indent=2
    )
