"""What is wrong with a configuration, said so that a person can put it right: file, key, problem, remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

ENV_PREFIX = "GRIDWARDEN__"
"""Environment variables with this prefix override the file: `GRIDWARDEN__MQTT__PORT=8883`."""


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """One fault. `file` is the file, or `environment`; `key` is dotted, or the name of the environment variable."""

    file: str
    key: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: {self.problem}. {self.remedy}"


class ConfigFaults(ValueError):  # noqa: N818 — it is several faults, and named for them
    """Everything that is wrong with a configuration, at once."""

    def __init__(self, faults: Sequence[ConfigFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def unknown_key_remedy(key: str, known: Iterable[str]) -> str:
    """What to say about a key nobody reads: the nearest known one where one is near, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return f"Meant {near[0]}?" if near else f"It takes: {', '.join(names)}."


def faults_of(
    error: ValidationError, root: type[BaseModel], file: str, environ: Mapping[str, str]
) -> list[ConfigFault]:
    """The faults pydantic found, each with the place the offending value came from."""
    return [_fault(details, root, file, environ) for details in error.errors(include_url=False)]


def env_name(loc: Sequence[int | str]) -> str:
    """The environment variable that sets the key at `loc`."""
    return ENV_PREFIX + "__".join(str(part) for part in loc).upper()


def _fault(details: ErrorDetails, root: type[BaseModel], file: str, environ: Mapping[str, str]) -> ConfigFault:
    loc = [part for part in details["loc"] if part != "function-after"]
    place, key = place_of(loc, file, environ)
    match details["type"]:
        case "extra_forbidden":
            return ConfigFault(place, key, "unknown key", unknown_key_remedy(str(loc[-1]), _known(root, loc[:-1])))
        case "missing":
            return ConfigFault(place, key, "missing", "Give it a value.")
        case "value_error":
            problem, _, remedy = str(details["ctx"]["error"]).partition(". ")
            return ConfigFault(place, key, problem.rstrip("."), remedy or "Correct the value.")
        case _:
            problem = details["msg"][:1].lower() + details["msg"][1:]
            return ConfigFault(place, key, f"{problem}, got {shown(details['input'])}", "Correct the value.")


def place_of(loc: Sequence[int | str], file: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Where the value came from: the variable that set it or one of its parents, else the file."""
    names = {name.upper(): name for name in environ}
    for depth in range(len(loc), 0, -1):
        wanted = env_name(loc[:depth])
        if wanted in names:
            return "environment", names[wanted]
    return file, ".".join(str(part) for part in loc)


def shown(value: Any) -> str:
    """A value as it may be repeated in a message, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _known(root: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] | None = root
    for part in loc:
        if isinstance(part, int) or model is None:
            continue
        field = model.model_fields.get(part)
        model = model_of(field.annotation) if field is not None else None
    return list(model.model_fields) if model is not None else []


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The settings section inside an annotation such as `list[Section]` or `Section | None`; else None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if (found := model_of(part)) is not None:
            return found
    return None
