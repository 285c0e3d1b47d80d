"""Fuzz the configuration: any text gives a typed object or `ConfigError`, for every program's model.

Run `PYTHONPATH=. python tests/fuzz/fuzz_yaml.py tests/fuzz/corpus/yaml -atheris_runs=20000`; new inputs land in the
corpus folder. `test_fuzz_messages.py` runs the committed corpus.
"""

from __future__ import annotations

from instrumenting import fuzz, instrumented

with instrumented(__name__, "configs", "conference", "relay", "yaml"):
    from conference.program_files import MODELS
    from configs.loading import ConfigError, load_text


def check(error: ConfigError) -> None:
    """A refusal says what is wrong."""
    assert error.mistakes
    assert str(error)


def fuzz_one(data: bytes) -> None:
    """Load one document as the file of each program, and as the value of a variable of the environment."""
    text = data.decode("utf-8", "surrogateescape")
    for model in MODELS.values():
        try:
            load_text(text, model)
        except ConfigError as error:
            check(error)
        try:
            load_text("", model, environ={"DIEMCAU_HTTP__PORT": text, "DIEMCAU_TOKENS__RELAY_S": text})
        except ConfigError as error:
            check(error)


if __name__ == "__main__":
    fuzz(fuzz_one)
