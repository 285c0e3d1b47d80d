"""Rules that the whole repository keeps."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 450


def _tracked() -> list[Path]:
    """Files of the repository; of the folder where it is no checkout (a source archive), or without git."""
    git = shutil.which("git")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False) if git else None
    if listed is None or listed.returncode != 0:
        folders = ("bridges", "conference", "configs", "docs", "monitoring", "relay", "requirements", "tests", "tools")
        found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
        return [path for path in found if "__pycache__" not in path.parts]
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


TRACKED = _tracked()
PYTHON = [path for path in TRACKED if path.suffix == ".py"]
MARKDOWN = [path for path in TRACKED if path.suffix == ".md"]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _texts() -> list[tuple[str, str]]:
    found = []
    for path in TRACKED:
        try:
            found.append((_name(path), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # a picture or a corpus file
    return found


def test_no_file_says_where_packages_come_from() -> None:
    """Pins are hashes; which index serves them is the machine's business."""
    hosts = [
        "py" + "pi.org",
        "python" + "hosted",
        "npm" + "js.org",
        "--index" + "-url",
        "--extra-index" + "-url",
    ]
    allowed = {"tools/lock.sh"}  # it forbids them
    for name, text in _texts():
        if name not in allowed:
            assert not [host for host in hosts if host in text], name


def test_no_file_names_a_path_of_one_machine() -> None:
    """What works in one person's home works nowhere else."""
    paths = re.compile("(?<![A-Za-z0-9_.])/" + r"(?:work|root|home|Users)/[A-Za-z]")
    for name, text in _texts():
        assert paths.findall(text) == [], name


@pytest.mark.parametrize("path", [path for path in PYTHON if "tests" not in path.parts], ids=_name)
def test_every_module_says_what_it_owns(path: Path) -> None:
    """A module opens with a docstring, and is about one idea."""
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [path for path in PYTHON if path.name.startswith("test_")], ids=_name)
def test_every_test_says_what_is_true(path: Path) -> None:
    """Each test has a docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent


def test_names_of_test_files_are_unique() -> None:
    """Folders of tests are no packages, so that two files of one name would hide each other."""
    names = [path.name for path in PYTHON if path.name.startswith("test_")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", MARKDOWN, ids=_name)
def test_links_of_the_documents_lead_somewhere(path: Path) -> None:
    """Every relative link points to a file of the repository."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        assert (path.parent / target.partition("#")[0]).exists(), target
