"""One contender draining one session, in a process of its own: `python -m tests.bench.contender` with JSON on stdin."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from tests.bench.loads import Load
from tests.bench.stopwatch import Cost


def run(name: str, load: Load, port: int, first_ms: int, folder: Path) -> Cost:
    """Drain the session as `ours`, `ceiling` or `plain`; only what the contender needs is imported."""
    if name == "ours":
        from tests.bench import ours

        return ours.run(load, port, first_ms, folder)
    if name == "ceiling":
        from tests.bench import ceiling

        return ceiling.run(load, port, folder)
    from tests.bench import plain

    return plain.run(load, port, folder)


def main() -> None:
    """Print the cost as JSON."""
    asked: dict[str, Any] = json.load(sys.stdin)
    cost = run(asked["name"], Load(**asked["load"]), asked["port"], asked["first_ms"], Path(asked["folder"]))
    print(json.dumps(dataclasses.asdict(cost)))


if __name__ == "__main__":
    main()
