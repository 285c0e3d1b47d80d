"""Configuration: YAML text (and the environment) into a typed frozen object, or every mistake at once.

Refused: files over 1 MiB, keys given twice, unknown keys, aliases (they allow a small file to become a huge value),
nesting deeper than 32. Precedence: the model's defaults, then the file, then the environment. Secrets do not stand in
the file: a key ending in `_file` names a file that `read_secret` reads.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_SCALAR_CHARS = 16 * 1024  # a longer number would cost quadratic time to convert
MAX_SECRET_BYTES = 64 * 1024
ENVIRONMENT_PREFIX = "DIEMCAU_"

_SECRET_KEY = re.compile(r"(?:^|_)(?:token|password|secret|private_key)$", re.IGNORECASE)


class Section(pydantic.BaseModel):
    """Base of every configuration model: frozen, unknown keys are errors."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a configuration.

    Attributes:
        path: key path such as `relay.listen.port` or `relays[2].region`; "" for the whole document.
        given: what was given, shortened; "" when nothing was.
        expected: what would have been right, or what to do.
    """

    path: str
    given: str
    expected: str

    def __str__(self) -> str:
        """One line for people."""
        where = self.path or "document"
        return f"{where}: {self.given} given; {self.expected}" if self.given else f"{where}: {self.expected}"


class ConfigError(Exception):
    """A configuration cannot be used; carries every mistake found.

    Attributes:
        code: stable word for machines.
        source: the file's name, or what stands for it.
        mistakes: all of them, in the order of the file.
    """

    code = "config_invalid"

    def __init__(self, source: str, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join([f"{source}: {len(mistakes)} mistake(s)", *(f"  {line}" for line in mistakes)]))
        self.source = source
        self.mistakes = mistakes


class _Refused(yaml.YAMLError):
    """The text is YAML that we do not take."""


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses aliases, depth and keys given twice."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.twice: list[Mistake] = []

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # untyped in PyYAML's stubs
            raise _Refused(f"line {mark.line + 1}: aliases (*name) are not taken; write the value out")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Refused(f"nested deeper than {MAX_DEPTH}")
        try:
            node = super().compose_node(parent, index)
        finally:
            self.depth -= 1
        if isinstance(node, yaml.ScalarNode) and len(node.value) > MAX_SCALAR_CHARS:
            raise _Refused(f"line {node.start_mark.line + 1}: a value is longer than {MAX_SCALAR_CHARS} characters")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: dict[str, int] = {}
        for key_node, _value in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                line = key_node.start_mark.line + 1
                if key_node.value in seen:
                    where = f"lines {seen[key_node.value]} and {line}"
                    self.twice.append(Mistake(key_node.value, "", f"the key stands twice ({where}); keep one"))
                seen.setdefault(key_node.value, line)
        return super().construct_mapping(node, deep=deep)


def _parse_yaml(text: str, source: str) -> Any:
    loader = None
    try:
        loader = _Loader(text)
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(source, [Mistake("", "", f"{where}not YAML: {error.problem or error.context}")]) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # ValueError and OverflowError: dates and numbers that YAML's grammar allows and Python's types do not.
        raise ConfigError(source, [Mistake("", "", str(error).splitlines()[0])]) from error
    finally:
        if loader is not None:
            loader.dispose()
    if loader.twice:
        raise ConfigError(source, loader.twice)
    return value


def _show(value: object, key: str) -> str:
    if _SECRET_KEY.search(key):
        return "a value (hidden)"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _key_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _known_keys(model: type[pydantic.BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Keys that the model at `location` knows; empty where the way leads through a union or a container."""
    current: Any = model
    for step in location:
        field = current.model_fields.get(step) if isinstance(step, str) else None
        current = field.annotation if field is not None else None
        if not (isinstance(current, type) and issubclass(current, pydantic.BaseModel)):
            return []
    return list(current.model_fields)


def _describe(error: Any, model: type[pydantic.BaseModel]) -> Mistake:
    location: tuple[int | str, ...] = error["loc"]
    path = _key_path(location)
    key = str(location[-1]) if location else ""
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, _known_keys(model, location[:-1]), n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        return Mistake(path, "", f"unknown key{hint}")
    if error["type"] == "missing":
        return Mistake(path, "", "missing; give it a value")
    expected = error["msg"].removeprefix("Value error, ")
    expected = expected.replace("Input should be", "should be", 1)
    return Mistake(path, _show(error["input"], key), expected)


def _overridden(value: Any, environ: Mapping[str, str], source: str) -> Any:
    """The document with `DIEMCAU_LISTEN__PORT=8080` put at `listen.port`; `DIEMCAU__NAME` is the key `name`."""
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        path = [step.strip("_").lower() for step in name.removeprefix(ENVIRONMENT_PREFIX[:-1]).split("__")]
        path = [step for step in path if step]
        if not path:
            continue
        parsed = _parse_yaml(text, name)
        value = {} if value is None else value
        current = value
        for step in path[:-1]:
            below = current.get(step) if isinstance(current, dict) else None
            if isinstance(current, dict) and below is None:
                below = current[step] = {}
            current = below
        if not isinstance(current, dict):
            raise ConfigError(source, [Mistake(".".join(path), "", f"{name} points into something with no keys")])
        current[path[-1]] = parsed
    return value


def load_text(
    text: str, model: type[ModelT], *, source: str = "text", environ: Mapping[str, str] | None = None
) -> ModelT:
    """Parse and validate YAML text.

    Args:
        text: the document; an empty one means all defaults.
        model: a pydantic model, frozen and with unknown keys forbidden (`Section`).
        source: name of the document in errors.
        environ: environment whose `DIEMCAU_…__…` variables override the document; none by default.

    Returns:
        The validated object.

    Raises:
        ConfigError: with every mistake; nothing else is raised for any text.
    """
    if len(text.encode("utf-8", errors="surrogatepass")) > MAX_BYTES:
        raise ConfigError(source, [Mistake("", "", f"larger than {MAX_BYTES} bytes")])
    value = _parse_yaml(text, source)
    if environ is not None:
        value = _overridden(value, environ, source)
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise ConfigError(source, [Mistake("", _show(value, ""), "should be keys with values")])
    try:
        return model.model_validate(value)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise ConfigError(source, [_describe(each, model) for each in found]) from None


def load(path: Path, model: type[ModelT], *, environ: Mapping[str, str] | None = None) -> ModelT:
    """Read, parse and validate a YAML file; see `load_text`.

    Raises:
        ConfigError: the file cannot be read, is not UTF-8, or is not valid.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = (error.strerror or "cannot be read") if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError(str(path), [Mistake("", "", reason)]) from error
    return load_text(text, model, source=str(path), environ=environ)


def read_secret(path: Path) -> str:
    """Read a secret that a `*_file` key names; the line end after it does not belong to it.

    Raises:
        ConfigError: the file cannot be read, is empty, or is longer than 64 KiB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
        secret = data.decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = (error.strerror or "cannot be read") if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError(str(path), [Mistake("", "", f"secret {reason}")]) from error
    if not secret or len(data) > MAX_SECRET_BYTES:
        raise ConfigError(str(path), [Mistake("", "", "a secret has 1 to 65536 bytes")])
    return secret
