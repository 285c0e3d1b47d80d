import pytest
from hypothesis import given
from hypothesis import strategies as st

from conference.api_client import ApiClient, ApiUnreachableError, parse_problem


@given(st.integers(400, 599), st.binary(max_size=200))
def test_any_body_is_a_problem(status: int, body: bytes) -> None:
    """Whatever stands in the body of a failure, it becomes one typed error with its status."""
    error = parse_problem(status, body)
    assert error.status == status
    assert error.detail


def test_a_problem_keeps_code_detail_and_rows() -> None:
    """Problem details (RFC 9457) come through whole."""
    body = b'{"title":"Refused","status":422,"detail":"2 bad rows","code":"rows","errors":[{"row":2},{"row":3},"x"]}'
    error = parse_problem(422, body)
    assert (error.code, str(error), len(error.rows)) == ("rows", "2 bad rows", 2)


async def test_nobody_listening_is_a_typed_error() -> None:
    """A refused connection says so in words of its own."""
    async with ApiClient("http://127.0.0.1:9", "t") as api:
        with pytest.raises(ApiUnreachableError, match="nobody listens"):
            await api.conferences()
