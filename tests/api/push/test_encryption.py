"""Push messages are encrypted as RFC 8291 says, and signed as RFC 8292 says."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from api.push.encryption import MAX_PAYLOAD_BYTES, encrypted, is_usable
from api.push.vapid import Vapid
from shared.access.push_key import new_push_key
from shared.domain.push import Subscription
from shared.settings import InvalidSettings
from tests.support.push_service import PushBrowser, decoded, encoded

# RFC 8291, 5.
PLAIN = b"When I grow up, I want to be a watermelon"
OWN_KEY = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BROWSER_POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def subscription(browser: PushBrowser) -> Subscription:
    return Subscription(endpoint=browser.endpoint, p256dh=browser.point, auth=browser.auth)


def test_the_example_of_the_rfc_is_encrypted_to_the_bytes_of_the_rfc() -> None:
    own_key = ec.derive_private_key(int.from_bytes(decoded(OWN_KEY), "big"), ec.SECP256R1())
    given = Subscription(endpoint="https://push.example.net/push", p256dh=decoded(BROWSER_POINT), auth=decoded(AUTH))
    assert encoded(encrypted(PLAIN, given, own_key=own_key, salt=decoded(SALT))) == BODY


@pytest.mark.parametrize("length", [0, 1, 1000, MAX_PAYLOAD_BYTES])
def test_the_browser_reads_every_message_and_no_two_are_alike(length: int) -> None:
    browser = PushBrowser("https://push.example.com/one")
    first, second = (encrypted(b"x" * length, subscription(browser)) for _ in range(2))
    assert browser.decrypt(first) == browser.decrypt(second) == b"x" * length
    assert first[:100] != second[:100]


def test_a_message_that_push_services_need_not_take_is_refused() -> None:
    browser = PushBrowser("https://push.example.com/one")
    with pytest.raises(ValueError, match="3994 bytes"):
        encrypted(b"x" * (MAX_PAYLOAD_BYTES + 1), subscription(browser))


@pytest.mark.parametrize(
    ("point", "auth"),
    [(b"\4" * 65, b"a" * 16), (b"\4" + b"\0" * 64, b"a" * 16), (b"", b"a" * 16), (decoded(BROWSER_POINT), b"a" * 15)],
)
def test_keys_that_no_browser_has_are_noticed(point: bytes, auth: bytes) -> None:
    assert not is_usable(point, auth)
    assert is_usable(decoded(BROWSER_POINT), b"a" * 16)


def test_a_push_service_learns_who_sends_for_half_a_day() -> None:
    now = [1_000_000.0]
    vapid = Vapid(new_push_key(), "mailto:dave@example.com", lambda: now[0])
    header = vapid.authorization("https://push.example.com:443/secret")
    token, key = header.removeprefix("vapid t=").split(", k=")
    assert key == vapid.public_key
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(key))
    claims = jwt.decode(
        token, public, ["ES256"], audience="https://push.example.com:443", options={"verify_exp": False}
    )
    assert claims == {"aud": "https://push.example.com:443", "exp": 1_043_200, "sub": "mailto:dave@example.com"}
    assert vapid.authorization("https://push.example.com:443/other") == header
    assert vapid.authorization("https://other.example.com/secret") != header
    now[0] += 4000
    assert vapid.authorization("https://push.example.com:443/secret") != header


@pytest.mark.parametrize("key", ["A" * 43, "_" * 43])
def test_a_key_outside_of_the_curve_is_a_wrong_setting(key: str) -> None:
    with pytest.raises(InvalidSettings, match="VAPID_PRIVATE_KEY"):
        Vapid(key, "mailto:dave@example.com")
