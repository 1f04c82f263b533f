from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.runtime.threads import let_waiting_threads_sleep
from tests.unit.runtime.fakes import Driver

let_waiting_threads_sleep()


@pytest.fixture
def drive() -> Iterator[Callable[..., Driver]]:
    """Makes drivers (see `fakes.Driver`) and shuts their sessions down, which must succeed."""
    drivers: list[Driver] = []

    def make(sources: dict[str, object], **options: object) -> Driver:
        drivers.append(Driver(sources, **options))
        return drivers[-1]

    yield make
    for driver in drivers:
        driver.close()
