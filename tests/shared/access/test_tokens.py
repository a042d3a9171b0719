"""Tests that tokens of this secret are understood, and that every other text is refused."""

from __future__ import annotations

import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.api_jws import PyJWS

from shared.access.tokens import InvalidToken, Tokens, new_session_id
from shared.domain.users import Role
from tests.support.secret import JWT_SECRET

SECRET = JWT_SECRET
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens((SECRET,), 60, clock=lambda: NOW)


def test_a_token_contains_user_session_role_and_expiry(tokens: Tokens) -> None:
    claims = tokens.verify(tokens.issue(7, Role.MODERATOR, "session"))
    assert (claims.user_id, claims.session_id, claims.role, claims.expires_at) == (
        7,
        "session",
        Role.MODERATOR,
        int(NOW) + 60,
    )


def test_a_token_is_expired_in_the_second_of_its_expiry(tokens: Tokens) -> None:
    token = tokens.issue(7, Role.USER, None, seconds=0)
    with pytest.raises(InvalidToken, match="expired"):
        tokens.verify(token)


OLD, NEW = "an-old-secret-of-these-tests-2025", "the-new-secret-of-these-tests-26"


def test_while_a_secret_is_replaced_both_are_accepted_and_the_first_signs() -> None:
    before, during, after = (Tokens(known, 60, clock=lambda: NOW) for known in ((OLD,), (NEW, OLD), (NEW,)))
    access, refresh = before.issue(7, Role.USER, "session"), before.issue_refresh("session", 3)
    assert during.verify(access).session_id == "session"
    assert during.read_refresh(refresh) == ("session", 3)
    assert after.verify(during.issue(7, Role.USER, "session")).user_id == 7
    assert after.read_refresh(during.issue_refresh("session", 4)) == ("session", 4)
    for reader, of in ((after, before), (before, after)):
        with pytest.raises(InvalidToken, match="InvalidSignatureError"):
            reader.verify(of.issue(7, Role.USER, "session"))
        with pytest.raises(InvalidToken, match="signature"):
            reader.read_refresh(of.issue_refresh("session", 3))


def test_a_token_names_its_key_by_a_hash_that_tells_nothing_of_the_secret() -> None:
    header = jwt.get_unverified_header(Tokens((NEW, OLD), 60).issue(7, Role.USER, None))
    same = jwt.get_unverified_header(Tokens((NEW,), 60).issue(8, Role.USER, None))
    other = jwt.get_unverified_header(Tokens((OLD, NEW), 60).issue(7, Role.USER, None))
    assert header == same == {"alg": "HS256", "typ": "JWT", "kid": header["kid"]}
    assert other["kid"] != header["kid"]
    assert len(header["kid"]) == 8


@pytest.mark.parametrize("headers", [None, {"kid": "of another issuer"}, {"kid": ""}])
def test_a_token_that_names_no_key_of_this_service_is_tried_with_every_secret(headers: dict[str, str] | None) -> None:
    tokens = Tokens((NEW, "a-third-secret-of-these-tests-27", OLD), 60, clock=lambda: NOW)
    for secret in (OLD, NEW):
        token = jwt.encode({"sub": "7", "exp": NOW + 1}, secret, headers=headers)
        assert tokens.verify(token).user_id == 7
    with pytest.raises(InvalidToken, match="InvalidSignatureError"):
        tokens.verify(jwt.encode({"sub": "7", "exp": NOW + 1}, "a-secret-that-nobody-has-given-us", headers=headers))


def test_a_token_that_names_one_key_and_is_signed_with_another_is_refused() -> None:
    tokens = Tokens((NEW, OLD), 60, clock=lambda: NOW)
    headers = {"kid": jwt.get_unverified_header(tokens.issue(7, Role.USER, None))["kid"]}
    with pytest.raises(InvalidToken, match="InvalidSignatureError"):
        tokens.verify(jwt.encode({"sub": "7", "exp": NOW + 1}, OLD, headers=headers))


def test_tokens_need_a_secret() -> None:
    with pytest.raises(ValueError, match="jwt_secrets"):
        Tokens((), 60)


def test_a_token_that_was_verified_before_expires_too() -> None:
    now = NOW
    tokens = Tokens((SECRET,), 60, clock=lambda: now)
    token = tokens.issue(7, Role.USER, "session")
    assert tokens.verify(token) == tokens.verify(token)
    now += 60
    with pytest.raises(InvalidToken, match="expired"):
        tokens.verify(token)


def test_a_token_is_not_accepted_before_its_nbf_claim() -> None:
    now = NOW
    tokens = Tokens((SECRET,), 60, clock=lambda: now)
    token = jwt.encode({"sub": "7", "exp": NOW + 99, "nbf": NOW + 10}, SECRET)
    with pytest.raises(InvalidToken, match="not valid yet"):
        tokens.verify(token)
    now = NOW + 10
    assert tokens.verify(token).user_id == 7


@pytest.mark.parametrize("claims", [{"exp": NOW + 1}, {"sub": "7"}, {"sub": None, "exp": NOW + 1}, [], "text", 7, None])
def test_signed_content_without_a_user_or_an_expiry_is_no_token(tokens: Tokens, claims: object) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(PyJWS().encode(json.dumps(claims).encode(), SECRET, algorithm="HS256"))


def test_a_token_needs_only_sub_and_exp(tokens: Tokens) -> None:
    token = jwt.encode({"sub": "7", "exp": NOW + 1}, SECRET)
    claims = tokens.verify(token)
    assert (claims.user_id, claims.role) == (7, None)
    assert claims.session_id.startswith("token:")
    assert tokens.verify(token) == claims


def test_a_token_issued_by_a_clock_ahead_is_accepted(tokens: Tokens) -> None:
    assert tokens.verify(jwt.encode({"sub": 7, "exp": NOW + 99, "iat": NOW + 9, "nbf": 0}, SECRET)).user_id == 7


def test_tokens_of_two_users_never_have_the_same_session(tokens: Tokens) -> None:
    one, other = (jwt.encode({"sub": str(user), "exp": NOW + 1, "jti": "same"}, SECRET) for user in (1, 2))
    assert tokens.verify(one).session_id != tokens.verify(other).session_id


@given(st.text() | st.builds(lambda text: jwt.encode({"sub": text, "exp": NOW + 1}, SECRET), st.text(max_size=5)))
def test_any_text_is_a_valid_token_or_refused(text: str) -> None:
    tokens = Tokens((SECRET,), 60, clock=lambda: NOW)
    try:
        claims = tokens.verify(text)
    except InvalidToken:
        return
    assert 0 < claims.user_id < 10**5


@given(
    st.dictionaries(
        st.sampled_from(["sub", "exp", "iat", "nbf", "jti", "sid", "role", "aud", "iss"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
    )
)
def test_any_claims_are_accepted_or_refused(claims: dict[str, object]) -> None:
    tokens = Tokens((SECRET,), 60, clock=lambda: NOW)
    payload = {"sub": "7", "exp": NOW + 1, **claims}
    # jwt.encode refuses some of these payloads, but another issuer's library may not.
    token = jwt.PyJWS().encode(_dumps(payload), SECRET, algorithm="HS256")
    try:
        understood = tokens.verify(token)
    except InvalidToken:
        return
    assert understood.session_id
    assert understood.user_id > 0


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_a_token_has_one_spelling(tokens: Tokens) -> None:
    token = jwt.encode({"sub": "7", "exp": NOW + 1}, SECRET)
    header, payload, signature = token.split(".")
    last = ALPHABET.index(signature[-1])
    junk = [f"{token[:-1]}{ALPHABET[last + bits]}" for bits in (1, 2, 3)]
    inside = [f"{header}.{payload}.{signature[:20]}{odd}{signature[20:]}" for odd in (" ", "\n", "!", "=", "\u00e9")]
    around = [f"{token}=", f"{token}==", f"{token}\n", f" {token}", f"{token} ", f"{token}.", f"\ufeff{token}"]
    parts = [f"{header}=.{payload}.{signature}", f"{header}.{payload}=.{signature}", f"{header}. {payload}.{signature}"]
    swapped = token.replace("-", "+").replace("_", "/")
    assert tokens.verify(token).user_id == 7
    for odd in {*junk, *inside, *around, *parts, swapped} - {token}:
        with pytest.raises(InvalidToken):
            tokens.verify(odd)


def test_tokens_without_an_id_have_one_session_if_their_signed_parts_are_equal(tokens: Tokens) -> None:
    tokens_of_one = [jwt.encode({"sub": "7", "exp": NOW + 1, "iat": iat}, SECRET) for iat in (1, 1, 2)]
    sessions = [tokens.verify(token).session_id for token in tokens_of_one]
    assert sessions[0] == sessions[1] != sessions[2]


def test_a_refresh_token_has_one_spelling(tokens: Tokens) -> None:
    token = tokens.issue_refresh("session", 3)
    odd = [token.replace(".3.", other) for other in (".03.", ".+3.", ". 3.", ".3 .", ".\u0663.", ".3_.")]
    for text in [*odd, token + "=", token + " ", " " + token, token + "\n"]:
        with pytest.raises(InvalidToken):
            tokens.read_refresh(text)


def test_a_refresh_token_contains_session_and_generation(tokens: Tokens) -> None:
    session_id = new_session_id()
    token = tokens.issue_refresh(session_id, 3)
    assert tokens.read_refresh(token) == (session_id, 3)
    forged = token.replace(".3.", ".4.")
    with pytest.raises(InvalidToken):
        tokens.read_refresh(forged)
    with pytest.raises(InvalidToken):
        Tokens(("another-secret-another-secret-another",), 60).read_refresh(token)


@given(st.text())
def test_any_other_refresh_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        Tokens((SECRET,), 60).read_refresh(text)


def _dumps(payload: dict[str, object]) -> bytes:
    return json.dumps(payload).encode()
