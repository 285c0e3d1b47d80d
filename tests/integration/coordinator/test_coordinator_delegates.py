"""Delegates of a coordinator: rosters in, names out, and a note of everybody who was given any."""

from __future__ import annotations

import stat

import pytest
from support.coordinator_harness import CONFERENCE, Api

from conference.app import RunningCoordinator
from conference.config import CoordinatorConfig
from conference.people.opening import PEOPLE_FILE

pytestmark = pytest.mark.integration

PATH = f"/api/v1/conferences/{CONFERENCE}/delegates"
HEADINGS = "Mã điểm cầu,Họ và tên,Số thẻ,Chức vụ,Điện thoại"


def roster(*rows: str) -> bytes:
    """A file."""
    return "\n".join([HEADINGS, *rows]).encode()


@pytest.fixture
async def halls(api: Api) -> list[str]:
    """Three halls and an open conference."""
    return await api.prepare(3, provinces_only=True)


async def test_a_roster_is_compared_then_imported_then_unchanged(api: Api, halls: list[str]) -> None:
    """A dry run writes nothing; the import gives numbers; the same again changes nothing; a correction keeps them."""
    first, second, _ = halls
    file = roster(f"{second},Trần Văn Hùng,2,,0912", f"{first},Nguyễn Thị Lan,1,Bí thư,", f"{first},Lê Mai,,,")
    dry = await api.expect(200, "POST", f"{PATH}/import?dry_run=1", data=file)
    assert (dry["added"], dry["dry_run"]) == (3, True)
    assert (await api.expect(200, "GET", PATH))["delegates"] == []
    done = await api.expect(200, "POST", f"{PATH}/import", data=file)
    assert {**dry, "dry_run": False} == done
    assert [(change["number"], change["name"]) for change in done["changes"]] == [
        (1, "Nguyễn Thị Lan"),
        (2, "Lê Mai"),
        (3, "Trần Văn Hùng"),
    ]
    again = await api.expect(200, "POST", f"{PATH}/import", data=file)
    assert (again["unchanged"], again["added"], again["changes"]) == (3, 0, [])
    moved = await api.expect(200, "POST", f"{PATH}/import", data=roster(f"{second},Nguyễn Thị Lan,1,Chủ tịch,0900"))
    assert (moved["changed"], moved["moved"]) == (1, 1)
    lan = await api.expect(200, "GET", f"{PATH}/1")
    assert (lan["hall_id"], lan["position"], lan["phone"]) == (second, "Chủ tịch", "0900")


async def test_a_bad_row_imports_nobody(api: Api, halls: list[str]) -> None:
    """Every mistake is told with row and column, in both languages."""
    file = roster(f"{halls[0]},Lan,1,,", "nowhere,Hùng,2,,", f"{halls[0]},,3,,")
    problem = await api.expect(422, "POST", f"{PATH}/import", data=file)
    assert [(row["row"], row["column"]) for row in problem["errors"]] == [(3, "Mã điểm cầu"), (4, "Họ và tên")]
    assert (await api.expect(200, "GET", PATH))["delegates"] == []


async def test_lists_are_in_the_order_of_given_names_and_come_in_pages(api: Api, halls: list[str]) -> None:
    """Hall by hall; within one, An before Ánh before Bình, whatever the family name."""
    first, second = sorted(halls[:2])
    names = ("Vũ Bình", "Trần Ánh", "Lê Văn An", "Đỗ Đạt", "Bùi Dũng")
    file = roster(*(f"{first},{name},,," for name in names), f"{second},Hà An,,,")
    await api.expect(200, "POST", f"{PATH}/import", data=file)
    found, after = [], ""
    while True:
        page = await api.expect(200, "GET", f"{PATH}?limit=2&after={after}")
        assert len(page["delegates"]) <= 2
        found += [delegate["name"] for delegate in page["delegates"]]
        after = page["next"]
        if not after:
            break
    assert found == ["Lê Văn An", "Trần Ánh", "Vũ Bình", "Bùi Dũng", "Đỗ Đạt", "Hà An"]
    await api.expect(422, "GET", f"{PATH}?after=no-cursor")
    await api.expect(422, "GET", f"{PATH}?limit=0")


async def test_a_hall_reads_its_own_list(api: Api, halls: list[str]) -> None:
    """Names, numbers and how they stand; no telephone, and nobody of another hall."""
    await api.expect(
        200, "POST", f"{PATH}/import", data=roster(f"{halls[0]},Lan,1,Bí thư,0912", f"{halls[1]},Hùng,2,,0913")
    )
    status, found = await api.call("GET", "/api/v1/halls/roster", hall=halls[0])
    assert status == 200
    assert found["delegates"] == [{"number": 1, "name": "Lan", "position": "Bí thư", "standing": "none"}]
    assert found["conference_title"] == "Hội nghị"
    assert len(found["public_key"]) == 43
    assert "0912" not in str(found)


async def test_whoever_reads_names_is_noted(api: Api, running: RunningCoordinator, halls: list[str]) -> None:
    """Who, what of, how many and why: staff each time, a hall once in ten minutes."""
    await api.expect(200, "POST", f"{PATH}/import", data=roster(f"{halls[0]},Lan,1,,", f"{halls[1]},Hùng,2,,"))
    for _ in range(3):
        await api.call("GET", "/api/v1/halls/roster", hall=halls[0])
    for _ in range(2):
        await api.expect(200, "GET", f"{PATH}?hall={halls[1]}")
    await api.expect(200, "GET", f"{PATH}/2")
    await api.expect(200, "GET", PATH)
    log = running.services.coordinator.state.access_log
    assert [(each.actor, each.scope, each.count, each.purpose) for each in log.latest] == [
        (f"hall:{halls[0]}", f"hall:{halls[0]}", 1, "roster"),
        ("user:test", f"hall:{halls[1]}", 1, "list"),
        ("user:test", f"hall:{halls[1]}", 1, "list"),
        ("user:test", "number:2", 1, "list"),
        ("user:test", "", 2, "list"),
    ]
    assert log.readings == {CONFERENCE: 5}


async def test_delegates_are_withdrawn_moved_and_named_again(api: Api, halls: list[str]) -> None:
    """A withdrawn delegate is on no list; a moved one on the other; a roster that names them brings them back."""
    first, second, _ = halls
    file = roster(f"{first},Lan,1,,", f"{first},Mai,,,", f"{second},Mai,,,")
    await api.expect(200, "POST", f"{PATH}/import", data=file)
    await api.expect(204, "POST", f"{PATH}/withdraw", json={"numbers": [1]})
    assert [each["number"] for each in (await api.expect(200, "GET", f"{PATH}?hall={first}"))["delegates"]] == [2]
    assert (await api.expect(200, "GET", f"{PATH}/1"))["withdrawn"]
    problem = await api.expect(409, "POST", f"{PATH}/move", json={"numbers": [2], "hall_id": second})
    assert problem["code"] == "same_person"
    await api.expect(204, "POST", f"{PATH}/move", json={"numbers": [1], "hall_id": second})
    back = await api.expect(200, "POST", f"{PATH}/import", data=file)
    assert back["returned"] == 1
    lan = await api.expect(200, "GET", f"{PATH}/1")
    assert (lan["withdrawn"], lan["hall_id"]) == (False, first)
    await api.expect(204, "POST", f"{PATH}/reissue", json={"numbers": [1, 2]})
    await api.expect(422, "POST", f"{PATH}/withdraw", json={"numbers": []})
    await api.expect(404, "POST", f"{PATH}/withdraw", json={"numbers": [99]})
    await api.expect(404, "POST", f"{PATH}/move", json={"numbers": [1], "hall_id": "nowhere"})


async def test_people_are_in_a_file_of_their_own(api: Api, config: CoordinatorConfig, halls: list[str]) -> None:
    """Beside the journal, for its owner alone; the journal has no name of them."""
    await api.expect(200, "POST", f"{PATH}/import", data=roster(f"{halls[0]},Nguyễn Thị Lan,1,,0912345678"))
    file = config.state_dir / PEOPLE_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = {path.name: path.read_bytes() for path in config.state_dir.iterdir() if path.is_file()}
    assert {name for name, data in written.items() if "Nguyễn Thị Lan".encode() in data or b"0912345678" in data} <= {
        PEOPLE_FILE,
        f"{PEOPLE_FILE}-wal",
    }


async def test_a_store_that_fails_is_a_clear_refusal(api: Api, config: CoordinatorConfig, halls: list[str]) -> None:
    """503 with the reason; nobody was enrolled; once the store works the same file is taken."""
    (config.state_dir / PEOPLE_FILE).mkdir()
    file = roster(f"{halls[0]},Lan,1,,")
    problem = await api.expect(503, "POST", f"{PATH}/import", data=file)
    assert problem["code"] == "people_unavailable"
    (config.state_dir / PEOPLE_FILE).rmdir()
    assert (await api.expect(200, "POST", f"{PATH}/import", data=file))["added"] == 1


async def test_the_erased_have_no_name_and_keep_their_number(
    api: Api, running: RunningCoordinator, config: CoordinatorConfig, halls: list[str]
) -> None:
    """The list goes on with an empty name; the deed and its reason are noted; a new person gets a new number."""
    await api.expect(200, "POST", f"{PATH}/import", data=roster(f"{halls[0]},Xoádi Lan,1,,", f"{halls[0]},Ởlại,2,,"))
    for body in ({"reason": "", "numbers": [1]}, {"reason": "theo yêu cầu", "numbers": []}):
        await api.expect(422, "POST", f"{PATH}/erase", json=body)
    await api.expect(403, "POST", f"{PATH}/erase", "technician", json={"reason": "x", "numbers": [1]})
    answer = await api.expect(200, "POST", f"{PATH}/erase", json={"reason": "theo yêu cầu", "numbers": [1]})
    assert answer == {"erased": 1}
    assert [(each["number"], each["name"]) for each in (await api.expect(200, "GET", PATH))["delegates"]] == [
        (1, ""),
        (2, "Ởlại"),
    ]
    assert not any("Xoádi".encode() in path.read_bytes() for path in config.state_dir.iterdir() if path.is_file())
    again = await api.expect(200, "POST", f"{PATH}/import", data=roster(f"{halls[0]},Xoádi Lan,1,,"))
    assert [change["number"] for change in again["changes"]] == [3]
    report = await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/privacy")
    assert (report["people"], report["last_number"], report["erased"], report["readings"]) == (2, 3, 1, 1)
    assert running.services.coordinator.state.access_log.erased == {CONFERENCE: 1}


async def test_numbers_go_on_after_everybody_was_erased(api: Api, halls: list[str]) -> None:
    """The journal still knows who had the old numbers, as figures; nobody else gets them."""
    file = roster(f"{halls[0]},Lan,1,,", f"{halls[0]},Mai,2,,")
    await api.expect(200, "POST", f"{PATH}/import", data=file)
    path = f"/api/v1/conferences/{CONFERENCE}/people/erase"
    assert (await api.expect(200, "POST", path, json={"reason": "hết hạn"})) == {"erased": 2}
    assert (await api.expect(200, "POST", path, json={"reason": "hết hạn"})) == {"erased": 0}
    again = await api.expect(200, "POST", f"{PATH}/import", data=file)
    assert [change["number"] for change in again["changes"]] == [3, 4]


async def test_people_are_kept_until_their_conference_is_long_over(api: Api, halls: list[str]) -> None:
    """Not while it goes on, not before the days are over, not by a dry run; then for good."""
    await api.expect(200, "POST", f"{PATH}/import", data=roster(f"{halls[0]},Lan,1,,"))
    path = "/api/v1/privacy/retention"
    assert (await api.expect(200, "POST", path, json={"days": 0}))["conferences"] == []
    await api.expect(200, "POST", f"/api/v1/conferences/{CONFERENCE}/phase", json={"phase": "ended"})
    assert (await api.expect(200, "POST", path, json={}))["days"] == 90
    dry = await api.expect(200, "POST", path, json={"days": 0, "dry_run": True})
    assert [(each["conference_id"], each["people"]) for each in dry["conferences"]] == [(CONFERENCE, 1)]
    done = await api.expect(200, "POST", path, json={"days": 0})
    assert done["conferences"] == dry["conferences"]
    assert (await api.expect(200, "GET", f"/api/v1/conferences/{CONFERENCE}/privacy"))["people"] == 0
    await api.expect(422, "POST", path, json={"days": 40_000})
