import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conference.access import KeyRing
from conference.cli.main import app
from conference.cli.output import without_virtual
from conference.config import KEY_FILE

runner = CliRunner()
COMMANDS = [
    "demo", "up", "coordinator", "relay", "hall", "publish", "virtual", "swarm", "plan", "live", "attendance", "report",
    "token", "version", "units", "halls", "conference", "config", "journal",
]  # fmt: skip


def test_help_names_every_command() -> None:
    """The first help lists what there is and the exit codes."""
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "Exit codes" in result.stdout
    for command in COMMANDS:
        assert command in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["demo"], ["up"], ["coordinator"], ["relay"], ["hall"], ["publish"], ["virtual"], ["swarm"], ["plan"], ["live"],
        ["attendance"], ["report"], ["report", "make"], ["report", "verify"], ["token"], ["units", "import"],
        ["units", "list"], ["units", "show"], ["units", "export"], ["units", "template"], ["halls", "template"],
        ["halls", "import"], ["halls", "list"], ["halls", "export"], ["halls", "link"],
        ["halls", "propose"], ["halls", "show"], ["halls", "history"], ["halls", "withdraw"],
        ["proposals", "list"], ["proposals", "show"], ["proposals", "approve"], ["proposals", "reject"],
        ["conference", "create"], ["conference", "open"], ["conference", "trial"], ["conference", "rehearse"],
        ["conference", "signoff"], ["conference", "rehearsal-report"], ["readiness"], ["conference", "launch"],
        ["conference", "end"], ["conference", "close"], ["conference", "publish"],
        ["conference", "status"], ["config", "check"], ["journal", "copy"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_each_command_teaches_by_example(command: list[str]) -> None:
    """Every command says what it does and shows one call of it."""
    result = runner.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert f"Example: diemcau {' '.join(command)}" in " ".join(result.stdout.split())


def test_help_does_not_import_media_or_http() -> None:
    """`--help` answers at once: none of the heavy libraries is loaded for it."""
    script = (
        "import sys, conference.cli.main; "
        "print([m for m in ('aiohttp', 'aiortc', 'av', 'numpy', 'cryptography', 'uvloop') if m in sys.modules])"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - started < 5


def test_version_is_json_on_demand() -> None:
    """`version --json` prints one document."""
    result = runner.invoke(app, ["version", "--json"])
    assert result.exit_code == 0
    assert set(json.loads(result.stdout)) == {"version", "python"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--relays", "0"],
        ["demo", "--virtual", "many"],
        ["up", "--host", "0.0.0.0"],
        ["up", "--relay-port", "8080"],
        ["report", "c", "--format", "pdf"],
        ["swarm", "http://relay.test/c/f/whep"],
        ["swarm", "http://relay.test/c/f/whep", "-n", "0"],
        ["swarm", "ftp://relay.test/c/f/whep", "-n", "1"],
        ["swarm", "http://", "-n", "1"],
        ["swarm", "http://[", "-n", "1"],
        ["swarm", "http://relay.test:99999/", "-n", "1"],
        ["swarm", "http://relay.test/c/f/whep", "--links", "links.json"],
        ["halls", "list", "--status", "asleep"],
        ["hall"],
        ["token"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    """What the command line cannot mean is refused before anything is done."""
    assert runner.invoke(app, arguments).exit_code == 2


def test_hall_takes_one_link_only(tmp_path: Path) -> None:
    """A link on the line and a link file together are a wrong usage."""
    result = runner.invoke(app, ["hall", "http://127.0.0.1:1/hall#token=x", "--link-file", str(tmp_path / "link")])
    assert result.exit_code == 2


def test_hall_needs_both_headcount_figures() -> None:
    """Present without summoned is no headcount."""
    result = runner.invoke(app, ["hall", "http://127.0.0.1:1/hall#token=x", "--present", "3"])
    assert result.exit_code == 2


@pytest.mark.parametrize("content", ["", "two words", "x" * 5000], ids=["empty", "words", "long"])
def test_a_token_file_without_token_is_one_sentence(tmp_path: Path, content: str) -> None:
    """A file that holds no token is refused with exit code 1 and no traceback."""
    file = tmp_path / "token"
    file.write_text(content)
    result = runner.invoke(app, ["conference", "status", "--token-file", str(file)])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "does not hold a token" in result.stderr


def test_a_missing_token_file_says_how_to_get_one(tmp_path: Path) -> None:
    """The sentence names the file and the command that makes a token."""
    result = runner.invoke(app, ["attendance", "c", "--token-file", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "diemcau token" in result.stderr


def test_an_unreachable_server_is_one_sentence(tmp_path: Path) -> None:
    """Nobody listens: exit code 1, one line, the address named."""
    file = tmp_path / "token"
    file.write_text("abc\n")
    arguments = ["conference", "status", "--server", "http://127.0.0.1:9", "--token-file", str(file)]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert "http://127.0.0.1:9" in result.stderr
    assert "Traceback" not in result.output


def test_live_prints_links_with_the_token_in_the_fragment(tmp_path: Path) -> None:
    """The staff's token never stands in a query string, which servers and proxies would log."""
    token_file = tmp_path / "operator.token"
    token_file.write_text("a.b.c\n")
    arguments = ["live", "--server", "https://hop.example.vn/", "--token-file", str(token_file)]
    shown = runner.invoke(app, arguments)
    assert shown.stdout == "https://hop.example.vn/live#token=a.b.c\n"
    links = {page: f"https://hop.example.vn/{page}#token=a.b.c" for page in ("live", "halls", "attendance")}
    assert all(links[page] in shown.stderr for page in ("halls", "attendance"))
    assert json.loads(runner.invoke(app, [*arguments, "--json"]).stdout) == {"link": links["live"], "links": links}


def test_people_are_not_shown_zeros_of_virtual_halls() -> None:
    """Where no virtual halls exist their totals are left out, flat or nested; where some exist all stay."""
    assert without_virtual({"halls": 2, "virtual_halls": 0, "virtual_lost": 0}) == {"halls": 2}
    assert without_virtual({"real": {"halls": 2}, "virtual": {"halls": 0}}) == {"real": {"halls": 2}}
    some = {"halls": 2, "virtual_halls": 1, "virtual_lost": 0}
    assert without_virtual(some) == some
    assert without_virtual({"halls": 2}) == {"halls": 2}


def test_token_signs_with_the_coordinators_key(tmp_path: Path) -> None:
    """A token made on the coordinator's machine opens its API, in the role asked for."""
    keys = KeyRing.load_or_create(tmp_path / KEY_FILE)
    out = tmp_path / "relay.token"
    arguments = ["token", "--role", "relay", "--subject", "r-1", "--state-dir", str(tmp_path), "--out", str(out)]
    assert runner.invoke(app, arguments).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    claims = keys.verify_api_token(out.read_text().strip(), time.time())
    assert (claims.role, claims.sub) == ("relay", "r-1")


def test_token_never_makes_a_key(tmp_path: Path) -> None:
    """Without the coordinator's key there is no token; a fresh key would sign tokens that nobody accepts."""
    result = runner.invoke(app, ["token", "--role", "organiser", "--state-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "no signing key" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_config_check_shows_every_mistake_at_once(tmp_path: Path) -> None:
    """One run names all mistakes, each with its key."""
    file = tmp_path / "relay.yaml"
    file.write_text("program: relay\nrelay_id: a b\nrol: edge\nhttp: {port: 99999}\n")
    result = runner.invoke(app, ["config", "check", str(file), "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert not found["ok"]
    assert {mistake["path"] for mistake in found["errors"]} == {"relay_id", "rol", "http.port"}


@pytest.mark.parametrize("text", ["", "program: kettle\n", "program: [relay]\n"])
def test_config_check_needs_a_known_program(tmp_path: Path, text: str) -> None:
    """A file that names no program of ours is refused, and the known ones are listed."""
    file = tmp_path / "some.yaml"
    file.write_text(text)
    result = runner.invoke(app, ["config", "check", str(file)])
    assert result.exit_code == 1
    assert "coordinator, gateway, relay, virtual" in result.stderr


def test_a_program_refuses_anothers_file(tmp_path: Path) -> None:
    """`diemcau relay` with a coordinator's file says just that."""
    file = tmp_path / "coordinator.yaml"
    file.write_text("program: coordinator\n")
    result = runner.invoke(app, ["relay", "--config", str(file)])
    assert result.exit_code == 1
    assert "must be 'relay'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "word"), [(["--halls", "0"], "--halls"), (["--seconds", "3"], "--seconds")], ids=["halls", "seconds"]
)
def test_a_demo_that_proves_nothing_is_refused(arguments: list[str], word: str) -> None:
    """Sizes that make no demo are refused before any program is started."""
    result = runner.invoke(app, ["demo", *arguments])
    assert result.exit_code == 1
    assert word in result.stderr
