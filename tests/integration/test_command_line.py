import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from conference.layout import free_ports

pytestmark = pytest.mark.integration

PROGRAM = [sys.executable, "-m", "conference.cli.main"]


class Service:
    """A running `diemcau up`, and commands sent to it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        port, relay_port = free_ports(2)
        self.environment = {
            **os.environ,
            "DIEMCAU_SERVER": f"http://127.0.0.1:{port}",
            "DIEMCAU_TOKEN_FILE": str(state_dir / "organiser.token"),
        }
        arguments = ["up", "--state-dir", str(state_dir), "--port", str(port), "--relay-port", str(relay_port)]
        self.process = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Ctrl-C"):
                return
        raise AssertionError("`diemcau up` ended before it was ready")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command against it."""
        return subprocess.run(
            [*PROGRAM, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def stop(self) -> int:
        """Press Ctrl-C and wait."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Everything on one machine."""
    started = Service(tmp_path / "state")
    yield started
    if started.process.poll() is None:
        started.stop()
    started.process.communicate(timeout=30)


def test_a_conference_from_the_command_line(service: Service, tmp_path: Path) -> None:
    """From an empty machine to the flash report by commands alone; refusals are one sentence and exit code 1."""
    units = tmp_path / "units.csv"
    units.write_text("code,name,kind,parent\n01,Thành phố Hà Nội,thành phố,\n00004,Phường Ba Đình,phường,01\n")
    assert service.run("units", "import", str(units)).returncode == 0
    assert json.loads(service.run("units", "list", "--json").stdout)["units"][0]["code"]

    halls = tmp_path / "halls.csv"
    heading = "mã,tên,đơn vị,cấp,số đại biểu\n"
    halls.write_text(heading + "A-1,Điểm cầu A,00004,xã,80\nA-2,Điểm cầu B,99,xã,-1\n")
    refused = service.run("halls", "import", str(halls))
    assert refused.returncode == 1
    assert "'99'" in refused.stderr
    assert "'-1'" in refused.stderr
    halls.write_text(heading + "A-1,Điểm cầu A,00004,xã,80\n")
    assert json.loads(service.run("halls", "import", str(halls), "--dry-run", "--json").stdout)["dry_run"] is True
    assert json.loads(service.run("halls", "list", "--json").stdout)["halls"] == []
    assert service.run("halls", "import", str(halls)).returncode == 0
    assert "Điểm cầu A" in service.run("halls", "export").stdout
    planned = json.loads(service.run("plan", "--registered", "--json").stdout)
    assert (planned["halls"], planned["relays"], planned["halls_without_primary"]) == (1, 1, 0)
    assert not planned["survives_any_single_loss"]

    assert service.run("conference", "create", "hn", "--title", "Hội nghị").returncode == 0
    early = service.run("conference", "end", "hn")
    assert (early.returncode, early.stderr.count("\n")) == (1, 1)
    for step, phase in [("open", "open"), ("trial", "rehearsal"), ("launch", "live")]:
        assert json.loads(service.run("conference", step, "hn", "--json").stdout)["phase"] == phase
    link = service.run("halls", "link", "A-1", "--conference", "hn").stdout.strip()
    assert link.startswith(f"{service.environment['DIEMCAU_SERVER']}/hall#token=")
    token = tmp_path / "publisher.token"
    published = service.run("conference", "publish", "hn", "--token-out", str(token), "--json")
    assert json.loads(published.stdout)["whip_url"].endswith("/hn/program/whip")
    assert token.stat().st_mode & 0o777 == 0o600
    assert json.loads(service.run("attendance", "hn", "--json").stdout)["total"]["real"]["halls"] == 1
    assert service.run("conference", "end", "hn").returncode == 0
    assert service.run("conference", "close", "hn", "--json").returncode == 0
    closed = json.loads(service.run("attendance", "hn", "--closing", "--json").stdout)
    assert (closed["is_closing"], closed["total"]["real"]["halls"]) == (True, 1)
    assert json.loads(service.run("attendance", "hn", "--corrections", "--json").stdout)["corrections"] == []
    out = tmp_path / "report.html"
    assert service.run("report", "hn", "--format", "html", "--out", str(out)).returncode == 0
    assert "điểm cầu đăng ký" in out.read_text()
    assert "Đúng chữ ký" in service.run("report", "verify", str(out)).stdout
    book = tmp_path / "report.xlsx"
    written = service.run("report", "hn", "--kind", "summary", "--format", "xlsx", "--unit", "01", "--out", str(book))
    assert written.returncode == 0, written.stderr
    assert json.loads(service.run("report", "verify", str(book), "--json").stdout)["genuine"] is True
    book.write_bytes(book.read_bytes() + b" ")
    changed = service.run("report", "verify", str(book))
    assert (changed.returncode, changed.stderr.count("\n")) == (1, 1)
    sealed = tmp_path / "report.json"
    assert service.run("report", "hn", "--json", "--out", str(sealed)).returncode == 0
    assert service.run("report", "verify", str(sealed)).returncode == 0
    assert service.run("report", "hn", "--format", "xlsx").returncode == 1
    assert json.loads(service.run("report", "hn", "--json").stdout)
    assert "BÁO CÁO NHANH" in service.run("report", "hn").stdout


def test_up_keeps_its_state_and_leaves_no_process(service: Service, tmp_path: Path) -> None:
    """Ctrl-C ends both programs with exit code 0; the next start finds the conference again."""
    service.run("conference", "create", "hn", "--title", "Hội nghị")
    children = psutil.Process(service.process.pid).children()
    assert len(children) == 2
    assert service.stop() == 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    again = Service(service.state_dir)
    try:
        found = json.loads(again.run("conference", "status", "--json").stdout)["conferences"]
        assert [conference["conference_id"] for conference in found] == ["hn"]
    finally:
        again.stop()


def test_up_restarts_nothing_silently(service: Service) -> None:
    """When the relay dies, `up` stops the coordinator too and fails."""
    children = psutil.Process(service.process.pid).children()
    relay = next(child for child in children if "relay" in child.cmdline())
    relay.kill()
    deadline = time.monotonic() + 30
    while service.process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert service.process.returncode == 1
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def test_a_province_proposes_and_an_organiser_decides(service: Service, tmp_path: Path) -> None:
    """A technician who is bound to Hà Nội sees its halls alone and proposes; the history tells who did what."""
    units, halls, token = tmp_path / "units.csv", tmp_path / "halls.csv", tmp_path / "ha-noi.token"
    units.write_text("code,name,kind,parent\n01,Hà Nội,thành phố,\n79,Hồ Chí Minh,thành phố,\n")
    heading = "mã,tên,đơn vị,cấp,số đại biểu,điện thoại\n"
    halls.write_text(f"{heading}HN,Điểm cầu Hà Nội,01,tỉnh,80,0912345678\nHCM,Điểm cầu Sài Gòn,79,tỉnh,90,\n")
    assert service.run("units", "import", str(units)).returncode == 0
    assert service.run("halls", "import", str(halls)).returncode == 0
    signed = service.run(
        "token", "--role", "technician", "--subject", "an", "--unit", "01", "--out", str(token),
        "--state-dir", str(service.state_dir / "coordinator"),
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr

    def by_technician(*arguments: str) -> subprocess.CompletedProcess[str]:
        return service.run(*arguments, "--token-file", str(token))

    listed = json.loads(by_technician("halls", "list", "--json").stdout)["halls"]
    assert [hall["hall_id"] for hall in listed] == ["HN"]
    assert by_technician("halls", "show", "HCM").returncode == 1
    halls.write_text(f"{heading}HN,Điểm cầu Hà Nội,01,tỉnh,85,0912345678\nHN-2,Điểm cầu Ăn,01,xã,9,\n")
    proposed = by_technician("halls", "propose", str(halls))
    assert "Đề xuất số (proposal) 1" in proposed.stdout, proposed.stderr
    assert "Đề xuất số (proposal) 2" in by_technician("halls", "withdraw", "HN").stdout
    assert "chờ duyệt" in service.run("proposals", "list").stdout
    shown = json.loads(service.run("proposals", "show", "1", "--json").stdout)
    assert [(each["action"], each["fields"]) for each in shown["halls"]] == [
        ("changed", [["seats", "80", "85"]]),
        ("created", []),
    ]
    assert "80" in service.run("proposals", "show", "1").stdout
    assert by_technician("proposals", "approve", "1").returncode == 1
    assert service.run("proposals", "approve", "1").returncode == 0
    refused = service.run("proposals", "approve", "2")
    assert (refused.returncode, "HN" in refused.stderr) == (1, True)
    assert "không duyệt" in service.run("proposals", "reject", "2", "--reason", "còn dùng").stdout
    history = json.loads(by_technician("halls", "history", "HN", "--json").stdout)
    assert [(change["action"], change.get("proposal", "")) for change in history["changes"]] == [
        ("changed", "1"),
        ("created", ""),
    ]
    assert "85" in by_technician("halls", "history", "HN").stdout
    found = json.loads(service.run("halls", "list", "--search", "0912 345 678", "--json").stdout)["halls"]
    assert [hall["hall_id"] for hall in found] == ["HN"]
    ordered = json.loads(service.run("halls", "list", "--json").stdout)["halls"]
    assert [hall["hall_id"] for hall in ordered] == ["HN-2", "HN", "HCM"]
    assert "Hà Nội" in service.run("units", "list", "--search", "ha noi").stdout
    assert service.run("halls", "withdraw", "HN-2").returncode == 0
    assert "đã rút" in service.run("halls", "show", "HN-2").stdout
