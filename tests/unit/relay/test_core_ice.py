"""ICE: the lite agent's answers and the controlling agent's checks."""

from __future__ import annotations

import random

from relay.core.ice import (
    CONSENT_EXPIRY_S,
    MAX_ADDRESSES,
    MAX_CANDIDATES,
    MAX_CHECKS,
    NOMINATION_SETTLE_S,
    IceController,
    IceCredentials,
    IceLite,
)
from relay.wire.stun import (
    BindingError,
    BindingRequest,
    BindingSuccess,
    parse_message,
    serialize_binding_error,
    serialize_binding_request,
    serialize_binding_success,
    verify_integrity,
)

LITE = IceCredentials("lite", "lite-password-of-22-chars")
FULL = IceCredentials("full", "full-password-of-22-chars")
HALL = ("192.0.2.7", 40_000)
RELAY = ("192.0.2.1", 8_101)


def check(
    *,
    username: str = "lite:full",
    password: str = LITE.pwd,
    use_candidate: bool = False,
    priority: int = 100,
    ice_controlled: int | None = None,
) -> BindingRequest:
    """A connectivity check, as a hall sends it."""
    datagram = serialize_binding_request(
        bytes(12),
        username,
        priority=priority,
        use_candidate=use_candidate,
        ice_controlling=None if ice_controlled is not None else 7,
        ice_controlled=ice_controlled,
        password=password,
    )
    message = parse_message(datagram)
    assert isinstance(message, BindingRequest)
    return message


def sent_request(controller: IceController) -> tuple[BindingRequest, tuple[str, int]]:
    """The only check that the controller has to send."""
    ((datagram, address),) = controller.datagrams_to_send()
    message = parse_message(datagram)
    assert isinstance(message, BindingRequest)
    return message, address


def success(request: BindingRequest, password: str = LITE.pwd) -> BindingSuccess:
    """The lite peer's answer."""
    message = parse_message(serialize_binding_success(request.transaction_id, HALL, password))
    assert isinstance(message, BindingSuccess)
    return message


def make_controller(candidates: list[tuple[str, int]]) -> IceController:
    """A controlling agent with seeded chance, at time 0."""
    return IceController(FULL, LITE, candidates, rng=random.Random(1), now=0.0)


def test_a_valid_check_is_answered_and_validates_its_address() -> None:
    """The answer is signed with our password and tells the peer its address."""
    ice = IceLite(LITE, FULL)
    answer = ice.handle_binding(check(), HALL, 5.0)
    assert answer is not None
    message = parse_message(answer)
    assert isinstance(message, BindingSuccess)
    assert message.mapped_address == HALL
    assert verify_integrity(message, LITE.pwd)
    assert ice.validated(HALL)
    assert ice.validated_address == HALL
    assert ice.last_consent == 5.0
    assert ice.consent_deadline() == 5.0 + CONSENT_EXPIRY_S


def test_before_the_first_check_there_is_nothing() -> None:
    """No address and no consent that could expire."""
    ice = IceLite(LITE, FULL)
    assert ice.validated_address is None
    assert ice.consent_deadline() is None


def test_a_restart_takes_over_when_it_nominates() -> None:
    """Until then the old credentials are answered and the old address holds; afterwards only the new ones count."""
    ice = IceLite(LITE, FULL)
    ice.handle_binding(check(use_candidate=True, priority=500), HALL, 0.0)
    local, remote = IceCredentials("lite2", "another-password-of-lite-2"), IceCredentials("full2", "x" * 22)
    ice.restart(local, remote)
    assert ice.latest.local == local
    assert ice.latest.remote == remote
    assert set(ice.local_ufrags) == {"lite", "lite2"}
    moved = ("198.51.100.9", 50_000)
    assert ice.handle_binding(check(username="lite2:full2", password=local.pwd), moved, 0.1) is not None
    assert ice.validated(moved)
    assert ice.validated_address == HALL, "a check alone moves nothing"
    assert ice.handle_binding(check(), HALL, 0.2) is not None
    # Within the settling time of the old nomination, and of a lower priority: a restart counts all the same.
    nominates = check(username="lite2:full2", password=local.pwd, use_candidate=True, priority=1)
    assert ice.handle_binding(nominates, moved, 0.3) is not None
    assert ice.validated_address == moved
    assert set(ice.local_ufrags) == {"lite2"}
    assert ice.last_consent == 0.3
    assert ice.handle_binding(check(use_candidate=True), HALL, 0.4) is None, "the old generation is over"
    assert ice.validated(HALL), "what is under way from the old address is still heard"


def test_the_passwords_of_two_generations_are_not_mixed() -> None:
    """A check of one generation that is signed with the password of the other gets no answer."""
    ice = IceLite(LITE, FULL)
    ice.restart(IceCredentials("lite2", "another-password-of-lite-2"), FULL)
    assert ice.handle_binding(check(username="lite2:full", password=LITE.pwd), HALL, 0.0) is None
    assert ice.handle_binding(check(password="another-password-of-lite-2"), HALL, 0.0) is None
    assert ice.last_consent is None


def test_a_restart_that_nobody_followed_is_replaced_by_the_next() -> None:
    """Two generations at most are answered: the validated one and the last that was asked for."""
    ice = IceLite(LITE, FULL)
    ice.restart(IceCredentials("lite2", "another-password-of-lite-2"), FULL)
    ice.restart(IceCredentials("lite3", "another-password-of-lite-3"), FULL)
    assert ice.local_ufrags == ("lite", "lite3")
    assert ice.handle_binding(check(username="lite2:full", password="another-password-of-lite-2"), HALL, 0.0) is None
    assert ice.handle_binding(check(username="lite3:full", password="another-password-of-lite-3"), HALL, 0.0)


def test_checks_without_our_credentials_get_no_answer() -> None:
    """Another user name or password gives silence, validates nothing and renews no consent."""
    ice = IceLite(LITE, FULL)
    for bad in (check(username="lite:other"), check(username="other:full"), check(username=""), check(password="x")):
        assert ice.handle_binding(bad, HALL, 0.0) is None
    assert not ice.validated(HALL)
    assert ice.last_consent is None


def test_a_controlled_peer_hears_of_the_role_conflict() -> None:
    """A lite agent stays controlled, so the other must switch; its check validates nothing."""
    ice = IceLite(LITE, FULL)
    answer = ice.handle_binding(check(ice_controlled=9), HALL, 0.0)
    assert answer is not None
    message = parse_message(answer)
    assert isinstance(message, BindingError)
    assert message.code == 487
    assert not ice.validated(HALL)


def test_the_nominated_address_is_taken_and_follows_the_hall() -> None:
    """Before a nomination the first address counts; a later nomination moves the session."""
    ice = IceLite(LITE, FULL)
    first, second, third = ("192.0.2.7", 1), ("192.0.2.7", 2), ("198.51.100.1", 3)
    ice.handle_binding(check(), first, 0.0)
    ice.handle_binding(check(use_candidate=True), second, 0.1)
    assert ice.validated_address == second
    ice.handle_binding(check(), third, 0.2)
    assert ice.validated_address == second
    ice.handle_binding(check(use_candidate=True, priority=1), third, 0.1 + NOMINATION_SETTLE_S)
    assert ice.validated_address == third


def test_of_an_aggressive_volley_the_highest_priority_counts() -> None:
    """Within a second a lower priority does not push a higher one away."""
    ice = IceLite(LITE, FULL)
    high, low, higher = ("192.0.2.7", 1), ("192.0.2.7", 2), ("192.0.2.7", 3)
    ice.handle_binding(check(use_candidate=True, priority=100), high, 0.0)
    ice.handle_binding(check(use_candidate=True, priority=50), low, 0.1)
    assert ice.validated_address == high
    ice.handle_binding(check(use_candidate=True, priority=200), higher, 0.2)
    assert ice.validated_address == higher


def test_the_lite_agent_remembers_few_addresses() -> None:
    """The one heard longest ago goes first; the nominated one stays."""
    ice = IceLite(LITE, FULL)
    ice.handle_binding(check(use_candidate=True), ("192.0.2.7", 1), 0.0)
    for port in range(2, 3 * MAX_ADDRESSES):
        ice.handle_binding(check(), ("192.0.2.7", port), float(port))
    assert ice.validated_address == ("192.0.2.7", 1)
    assert ice.validated(("192.0.2.7", 1))
    assert not ice.validated(("192.0.2.7", 2))
    assert ice.validated(("192.0.2.7", 3 * MAX_ADDRESSES - 1))


def test_the_first_candidate_that_answers_is_selected() -> None:
    """Checks are paced by 50 ms, carry USE-CANDIDATE and the answer's credentials, and end with the first answer."""
    other = ("198.51.100.9", 1)
    controller = make_controller([other, RELAY])
    controller.handle_timer(0.0)
    first, address = sent_request(controller)
    assert address == other
    assert controller.next_deadline() == 0.05
    controller.handle_timer(0.05)
    second, address = sent_request(controller)
    assert address == RELAY
    assert second.use_candidate
    assert second.username == "lite:full"
    assert second.ice_controlling is not None
    assert verify_integrity(second, LITE.pwd)
    assert second.transaction_id != first.transaction_id
    controller.handle_response(success(second), RELAY, 0.08)
    assert controller.validated_address == RELAY
    assert controller.validated(RELAY)
    assert not controller.validated(other)
    assert controller.rtt_s is not None
    assert abs(controller.rtt_s - 0.03) < 1e-9


def test_answers_that_prove_nothing_are_ignored() -> None:
    """Unsigned, from elsewhere, or to a question that nobody asked."""
    controller = make_controller([RELAY])
    controller.handle_timer(0.0)
    request, _ = sent_request(controller)
    controller.handle_response(success(request, "wrong"), RELAY, 0.1)
    controller.handle_response(success(request), ("203.0.113.5", 1), 0.1)
    stranger = check()
    controller.handle_response(success(stranger), RELAY, 0.1)
    assert controller.validated_address is None


def test_checks_back_off_and_end() -> None:
    """The same transaction is sent at 0, 0.5, 1.5, 3.5 s and so on, seven times."""
    controller = make_controller([RELAY])
    times = []
    transactions = set()
    while (deadline := controller.next_deadline()) is not None:
        controller.handle_timer(deadline)
        transactions.add(sent_request(controller)[0].transaction_id)
        times.append(deadline)
    assert times == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert len(times) == MAX_CHECKS
    assert len(transactions) == 1


def test_a_refusal_ends_a_candidate() -> None:
    """A signed error answer means that this candidate is not asked again."""
    controller = make_controller([RELAY])
    controller.handle_timer(0.0)
    request, _ = sent_request(controller)
    message = parse_message(serialize_binding_error(request.transaction_id, 400, "no", password=LITE.pwd))
    assert isinstance(message, BindingError)
    controller.handle_response(message, RELAY, 0.1)
    assert controller.next_deadline() is None
    assert controller.validated_address is None


def test_consent_is_renewed_by_answers_and_ends_without() -> None:
    """Checks go out every 4 to 6 seconds with new transactions; consent runs 30 s from the last answer."""
    controller = make_controller([RELAY])
    controller.handle_timer(0.0)
    request, _ = sent_request(controller)
    controller.handle_response(success(request), RELAY, 0.0)
    now = 0.0
    for _ in range(5):
        deadline = controller.next_deadline()
        assert deadline is not None
        assert 4.0 <= deadline - now <= 6.0
        now = deadline
        controller.handle_timer(now)
        request, address = sent_request(controller)
        assert address == RELAY
        controller.handle_response(success(request), RELAY, now)
        assert controller.consent_deadline() == now + CONSENT_EXPIRY_S
        controller.handle_response(success(request), RELAY, now + 1)
        assert controller.consent_deadline() == now + CONSENT_EXPIRY_S
    for _ in range(20):
        now = controller.next_deadline() or now
        controller.handle_timer(now)
        sent_request(controller)
    assert now > (controller.consent_deadline() or 0)


def test_candidates_are_bounded_and_canonical() -> None:
    """Names and doubles are passed over, IPv6 is written the way sockets write it, and few are enough."""
    controller = make_controller(
        [
            ("abc.local", 1),
            ("2001:DB8:0::1", 5),
            ("2001:db8::1", 5),
            ("192.0.2.1", 0),
            *((f"10.0.0.{n}", 1) for n in range(99)),
        ]
    )
    controller.handle_timer(100.0)
    sent = [address for _, address in controller.datagrams_to_send()]
    assert sent[0] == ("2001:db8::1", 5)
    assert len(sent) == MAX_CANDIDATES
