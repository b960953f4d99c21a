"""Districts over fresh state directories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.district import District, fresh_state


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in which nothing happened yet."""
    path = tmp_path_factory.mktemp("template") / "state"
    with District(path):
        pass
    return path


@pytest.fixture
def new(template: Path, tmp_path: Path) -> Iterator[Callable[..., District]]:
    """Makes districts over fresh state directories."""
    made: list[District] = []

    def make(*args: Any, **options: Any) -> District:
        state_dir = fresh_state(template, tmp_path / f"state{len(made)}")
        made.append(District(state_dir, *args, **options).open())
        return made[-1]

    yield make
    for district in made:
        district.end()
