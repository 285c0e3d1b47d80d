"""Messages of the right shape with values that nobody should send: where random bytes do not get, structure does."""

from __future__ import annotations

from typing import Any

import fuzz_json
import fuzz_jwt
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from bridges.messages import Assignment
from conference.access import ApiClaims
from relay.access import RelayClaims
from relay.messages import CoordinatorMessage, RelayMessage

IDS = ("", fuzz_json.CONFERENCE, fuzz_json.HALL, fuzz_json.RELAY, "tram-2", "program", "one", "s1")
TEXTS = st.sampled_from(IDS) | st.text(max_size=200)
INTEGERS = st.sampled_from((0, 1, -1, fuzz_json.AT_MS, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1)) | st.integers()
BODIES = [inspect.type_info(route.request) for route in fuzz_json.ROUTES]


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """JSON values of a type, in its shape and with no regard for its limits."""
    match kind:
        case inspect.StructType():
            fields = {field.encode_name: values_of(field.type) for field in kind.fields}
            tag = {kind.tag_field: st.just(kind.tag)} if kind.tag_field is not None else {}
            optional = {field.encode_name for field in kind.fields if not field.required}
            required = {name: value for name, value in fields.items() if name not in optional}
            return st.fixed_dictionaries(tag | required, optional={name: fields[name] for name in optional})
        case inspect.UnionType():
            return st.one_of([values_of(each) for each in kind.types])
        case inspect.ListType():
            return st.lists(values_of(kind.item_type), max_size=4)
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.IntType():
            return INTEGERS
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False) | INTEGERS
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case _:
            return TEXTS


def messages_of(kind: Any) -> st.SearchStrategy[Any]:
    """The same, for a type as it is written in code."""
    return values_of(inspect.type_info(kind))


@settings(max_examples=300)
@given(message=messages_of(RelayMessage) | messages_of(CoordinatorMessage) | messages_of(Assignment))
def test_any_values_in_a_message_are_taken_or_refused(message: Any) -> None:
    """What a relay or a coordinator may put into its messages never breaks a reader, the journal or a snapshot."""
    fuzz_json.fuzz_one(msgspec.json.encode(message))


@settings(max_examples=300)
@given(body=st.one_of([values_of(kind) for kind in BODIES]))
def test_any_values_in_a_body_are_taken_or_refused(body: Any) -> None:
    """What a hall or an organiser may put into a body never breaks a route, the journal or a snapshot."""
    fuzz_json.fuzz_one(msgspec.json.encode(body))


@settings(max_examples=200)
@given(
    claims=messages_of(RelayClaims) | messages_of(ApiClaims),
    registered=st.fixed_dictionaries(
        {},
        optional={
            "iss": st.sampled_from(("diemcau", 1, None)),
            "aud": st.sampled_from(("api", "relay")) | st.lists(st.sampled_from(("api", "relay", 1)), max_size=3),
            "nbf": INTEGERS | TEXTS,
            "iat": INTEGERS | TEXTS,
            "jti": INTEGERS | TEXTS,
        },
    ),
)
def test_any_signed_claims_are_taken_or_refused(claims: Any, registered: Any) -> None:
    """Claims of any value, properly signed, are claims or a refusal as typed."""
    fuzz_jwt.fuzz_one(b"c" + msgspec.json.encode({**claims, **registered}))
