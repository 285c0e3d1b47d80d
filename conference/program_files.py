"""Configuration files of our programs: which model a file is for, by its key `program`.

A file says at its top `program: coordinator`, `gateway`, `relay`, `virtual`, `plan` or `simulate`. A program given
another's file says so instead of complaining about every key.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeVar

import pydantic

from conference.config import CoordinatorConfig
from conference.front.config import GatewayConfig
from conference.planning.config import PlanConfig
from conference.simulation.scenario import Scenario
from conference.virtual_config import VirtualConfig
from configs.loading import ConfigError, Mistake, Section, load
from relay.config import RelayConfig


class CoordinatorFile(CoordinatorConfig):
    """A coordinator's configuration as it stands in a file."""

    program: Literal["coordinator"] = "coordinator"


class GatewayFile(GatewayConfig):
    """A gateway's configuration as it stands in a file."""

    program: Literal["gateway"] = "gateway"


class RelayFile(RelayConfig):
    """A relay's configuration as it stands in a file."""


class VirtualFile(VirtualConfig):
    """A virtual country's configuration as it stands in a file."""


class PlanFile(PlanConfig):
    """A country to plan for, as it stands in a file."""


class ScenarioFile(Scenario):
    """A day to go through, as it stands in a file."""


class _Named(pydantic.BaseModel):
    """Any file of ours; only its name of a program is looked at."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    program: object = None


ModelT = TypeVar("ModelT", CoordinatorFile, GatewayFile, RelayFile, VirtualFile, PlanFile, ScenarioFile)

MODELS: dict[str, type[CoordinatorFile | GatewayFile | RelayFile | VirtualFile | PlanFile | ScenarioFile]] = {
    "coordinator": CoordinatorFile,
    "gateway": GatewayFile,
    "relay": RelayFile,
    "virtual": VirtualFile,
    "plan": PlanFile,
    "simulate": ScenarioFile,
}


def load_any(path: Path) -> Section | CoordinatorFile:
    """Load a file with the model that its key `program` names.

    Raises:
        ConfigError: with every mistake, an unknown `program` among them.
    """
    program = load(path, _Named).program
    model = MODELS.get(program) if isinstance(program, str) else None
    if model is None:
        given = "" if program is None else repr(program)[:60]
        raise ConfigError(str(path), [Mistake("program", given, f"must be one of: {', '.join(MODELS)}")])
    return load(path, model, environ=os.environ)


def load_program(path: Path, model: type[ModelT]) -> ModelT:
    """Load a file for one program.

    Raises:
        ConfigError: with every mistake, or the one that the file is for another program.
    """
    wanted = next(name for name, known in MODELS.items() if known is model)
    program = load(path, _Named).program
    if program not in (None, wanted):
        raise ConfigError(str(path), [Mistake("program", repr(program)[:60], f"must be {wanted!r} for this command")])
    return load(path, model, environ=os.environ)
