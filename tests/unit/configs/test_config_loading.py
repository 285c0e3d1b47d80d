"""A configuration is one typed object, or every mistake at once."""

from pathlib import Path

import pydantic
import pytest

from configs.loading import MAX_BYTES, ConfigError, Section, load, load_text, read_secret


class Listen(Section):
    """An address."""

    host: str = "127.0.0.1"
    port: int = pydantic.Field(default=8080, ge=0, le=65535)


class Example(Section):
    """A program's configuration."""

    name: str
    listen: Listen = Listen()
    ratio: float = 0.5
    peers: tuple[Listen, ...] = ()
    password: int = 0


def test_defaults_then_file_then_environment() -> None:
    """The file overrides the defaults, and the environment overrides the file."""
    text = "name: hà-nội\nlisten:\n  port: 9000\n"
    config = load_text(
        text, Example, environ={"DIEMCAU_LISTEN__HOST": "0.0.0.0", "DIEMCAU__RATIO": "0.25", "HOME": "/x"}
    )
    assert config == Example(name="hà-nội", listen=Listen(host="0.0.0.0", port=9000), ratio=0.25)


def test_the_environment_alone_can_be_enough() -> None:
    """An empty file is a file with all defaults."""
    assert load_text("", Example, environ={"DIEMCAU__NAME": "x"}) == Example(name="x")


def test_variables_without_a_double_underscore_are_no_overrides() -> None:
    """DIEMCAU_LOG and its like belong to others."""
    assert load_text("name: x", Example, environ={"DIEMCAU_LOG": "json"}).name == "x"


def test_the_object_is_frozen() -> None:
    """Nobody changes a configuration after it was loaded."""
    config = load_text("name: x", Example)
    with pytest.raises(pydantic.ValidationError):
        config.name = "y"  # type: ignore[misc] # the point of the test


def test_all_mistakes_are_told_at_once_with_path_value_and_expectation() -> None:
    """One line each: where, what was given, what was expected; a near name is proposed for an unknown key."""
    text = "lisen: {}\nratio: half\npeers:\n  - port: 70000\n    hots: a\n"
    with pytest.raises(ConfigError) as caught:
        load_text(text, Example, source="a.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "a.yaml: 5 mistake(s)"
    assert "  name: missing; give it a value" in lines
    assert "  lisen: unknown key; did you mean `listen`?" in lines
    assert any(line.startswith("  ratio: 'half' given; should be a valid number") for line in lines)
    assert "  peers[0].port: 70000 given; should be less than or equal to 65535" in lines
    assert any(line.startswith("  peers[0].hots: unknown key") for line in lines)


def test_a_secret_value_is_not_shown() -> None:
    """A mistyped password does not end in a log."""
    with pytest.raises(ConfigError) as caught:
        load_text("name: x\npassword: hunter2", Example)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_keys_given_twice_are_mistakes() -> None:
    """YAML would take the last one silently; all such keys are named with their lines."""
    with pytest.raises(ConfigError) as caught:
        load_text("name: a\nlisten:\n  port: 1\n  port: 2\nname: b\n", Example)
    assert {mistake.path for mistake in caught.value.mistakes} == {"name", "port"}
    assert "lines 3 and 4" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "name: [",
        "name: x\n\tlisten: 1",
        "- a\n- b",
        "just words",
        "name: &a x\nratio: *a",
        "name: !!python/object/apply:os.system ['true']",
        "name: x\n---\nname: y",
        "[" * 5000 + "]" * 5000,
        "ratio: " + "9" * 5000,
        "name: 2024-99-99",
        "name: " + "x" * 20000,
        "? [a, b]\n: c",
        "name: \x00",
        "name: '\ud800'",
        "a: " + "x" * MAX_BYTES,
    ],
)
def test_any_text_is_taken_or_raises_the_typed_error(text: str) -> None:
    """Broken, hostile or huge text raises ConfigError and nothing else."""
    with pytest.raises(ConfigError):
        load_text(text, Example)


def test_an_override_into_a_plain_value_is_a_mistake() -> None:
    """The variable that points nowhere is named."""
    with pytest.raises(ConfigError, match="DIEMCAU_NAME__X"):
        load_text("name: x", Example, environ={"DIEMCAU_NAME__X": "1"})


def test_files_are_read_with_the_same_care(tmp_path: Path) -> None:
    """A file loads; a missing one, a directory and one that is not UTF-8 are typed errors that name the file."""
    good = tmp_path / "good.yaml"
    good.write_text("name: điểm cầu\n", encoding="utf-8")
    assert load(good, Example).name == "điểm cầu"
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"name: \xff\xfe")
    for path in (tmp_path / "absent.yaml", tmp_path, bad):
        with pytest.raises(ConfigError) as caught:
            load(path, Example)
        assert caught.value.source == str(path)


def test_secrets_come_from_files(tmp_path: Path) -> None:
    """The line end is not part of the secret; an absent or empty file is a typed error."""
    path = tmp_path / "secret"
    path.write_text("s3cret \n", encoding="utf-8")
    assert read_secret(path) == "s3cret "
    path.write_text("\n", encoding="utf-8")
    for wrong in (path, tmp_path / "absent"):
        with pytest.raises(ConfigError):
            read_secret(wrong)
