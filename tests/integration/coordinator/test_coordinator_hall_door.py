"""What a hall's pages show at its door: how far the check-in is, and a QR code of the way to a phone."""

import pytest
from support.coordinator_harness import Api

pytestmark = pytest.mark.integration
QR = "/api/v1/halls/checkin-qr"


async def test_a_hall_without_a_roster_has_no_counts(api: Api) -> None:
    """The hall and the conference are named; the figures are null."""
    (hall,) = await api.prepare(1, provinces_only=True)
    status, found = await api.call("GET", "/api/v1/halls/checkins", hall=hall)
    assert (status, found["conference_title"], found["individual"]) == (200, "Hội nghị", None)
    assert found["hall_name"]


async def test_a_picture_is_drawn_for_an_origin_alone(api: Api) -> None:
    """The answer is a picture that runs nothing; what is no origin is refused."""
    (hall,) = await api.prepare(1, provinces_only=True)
    status, drawn = await api.call("POST", QR, hall=hall, json={"origin": "https://diemcau.example:8443"})
    assert status == 200
    assert drawn.startswith(b"<svg")
    assert b"script" not in drawn
    for origin in ("javascript:alert(1)", "https://a/b", "https://a?b", "https://a@b", "", "https://" + "a" * 300):
        assert (await api.call("POST", QR, hall=hall, json={"origin": origin}))[0] == 422
