"""Tests what is derived from a dataclass: the schema of a body, the schema of an answer, and the limits of a form."""

from __future__ import annotations

import typing
from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime
from types import NoneType
from typing import Any

import pytest
from marshmallow import ValidationError

from api.documentation.document import answered
from api.routes import ROUTES
from api.schemas.accounts import ProfileBody
from api.schemas.answers import accounts as account_answers
from api.schemas.answers import listings as listing_answers
from api.schemas.answers import moderation as moderation_answers
from api.schemas.categories import CategoryChangeBody
from api.schemas.derived import answer_schema, input_schema, limits_of, load
from api.schemas.listings import HideBody, ListingBody, ListingChangeBody, ListingsQuery
from shared.domain.declared import fields_of
from shared.domain.listings import ListingFilter, NewListing, Sort, Status, Visibility, WantedStatus
from shared.health import HealthState

CAR = {"title": "A car", "content": "It drives.", "category_id": "7"}


def errors(kind: type, given: dict[str, Any]) -> Any:
    with pytest.raises(ValidationError) as raised:
        load(kind, given)
    return raised.value.messages


INPUTS = sorted(
    {kind for route in ROUTES for kind in (route.body, route.query) if kind}, key=lambda kind: kind.__name__
)


@pytest.mark.parametrize("kind", INPUTS, ids=lambda kind: kind.__name__)
def test_the_schema_of_every_body_and_query_has_the_name_of_its_dataclass(kind: type) -> None:
    schema = input_schema(kind)
    assert schema.__name__ == kind.__name__
    assert schema().fields


def test_a_loaded_query_cannot_be_changed() -> None:
    query = load(ListingsQuery, {})
    with pytest.raises(FrozenInstanceError):
        query.limit = 5  # type: ignore[misc]


def test_a_body_is_loaded_as_its_dataclass_with_defaults_for_absent_fields() -> None:
    assert load(ListingBody, CAR) == ListingBody(title="A car", content="It drives.", category_id=7)
    query = load(ListingsQuery, {"year_min": "1990", "sort": "-price", "status": "any", "hidden": "true"})
    assert (query.year_min, query.sort, query.limit, query.cursor) == (1990, Sort.DEAREST, 20, None)
    assert query.filter == ListingFilter(year_min=1990, status=WantedStatus.ANY, hidden=True)
    assert load(ListingsQuery, {}).filter == ListingFilter()
    until = datetime(2030, 1, 1, tzinfo=UTC)
    assert load(HideBody, {"until": "2030-01-01T01:00:00+01:00", "reason": None}) == HideBody(until=until)


def test_an_absent_optional_field_is_none_and_null_is_refused() -> None:
    assert load(CategoryChangeBody, {}) == CategoryChangeBody(name=None, visibility=None)
    assert load(CategoryChangeBody, {"visibility": "private"}).visibility is Visibility.PRIVATE
    null = ["Field may not be null."]
    assert errors(CategoryChangeBody, {"name": None, "visibility": None}) == {"name": null, "visibility": null}


def test_a_dataclass_can_refuse_a_combination_of_fields() -> None:
    needed = {"current_password": ["Needed to change the e-mail address or the password."]}
    assert errors(ProfileBody, {"email": "ann@example.com"}) == needed
    # The single fields are checked first.
    assert list(errors(ProfileBody, {"email": "nobody"})) == ["email"]
    assert load(ProfileBody, {"name": "Ann"}).name == "Ann"


def test_a_change_has_only_the_given_fields_and_accepts_every_field_of_its_dataclass() -> None:
    change = load(ListingChangeBody, {"price": None, "status": "sold", "category_id": 7})
    assert change.values == {"price": None, "status": Status.SOLD, "category_id": 7}
    assert change.category_id == 7
    assert load(ListingChangeBody, {}).values == {}
    assert load(ListingChangeBody, {}).category_id is None
    assert set(input_schema(ListingChangeBody)().fields) == {field.name for field in fields_of(NewListing)}
    assert errors(ListingChangeBody, {"title": None}) == {"title": ["Field may not be null."]}


def test_a_new_listing_cannot_set_its_status() -> None:
    assert errors(ListingBody, {**CAR, "status": "sold"}) == {"status": ["Unknown field."]}


def test_a_field_without_a_rule_is_refused_when_its_schema_is_made() -> None:
    @dataclass(frozen=True)
    class Loose:
        text: str

    with pytest.raises(TypeError, match="text"):
        input_schema(Loose)


def test_limits_are_named_like_the_attributes_of_html_inputs() -> None:
    limits = limits_of(ListingBody)
    assert limits["title"] == {"maxlength": 80}
    assert limits["mileage"] == {"min": 0, "max": 10_000_000}
    assert limits["year"] == {"min": 1886}
    assert "category_id" not in limits


def test_the_schema_of_every_answer_has_the_fields_of_its_dataclass() -> None:
    kinds = {kind for kind, _ in map(answered, ROUTES) if kind not in (None, NoneType)}
    assert {listing_answers.Listing, listing_answers.TrashedListing, account_answers.Profile, HealthState} <= kinds
    for kind in kinds:
        hints = typing.get_type_hints(kind)
        assert set(answer_schema(kind)().fields) == set(hints)
    assert not answer_schema(HealthState)().fields["reasons"].required
    assert answer_schema(moderation_answers.Act)().fields["reason"].allow_none


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2029-12-31t23:30:00z", datetime(2029, 12, 31, 23, 30, tzinfo=UTC)),
        ("2029-12-31T23:59:60Z", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2029-12-31t23:59:60.25z", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2029-12-31T15:59:60-08:00", datetime(2030, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_rfc_3339_allows(text: str, time: datetime) -> None:
    assert load(HideBody, {"until": text}) == HideBody(until=time)


@pytest.mark.parametrize(
    "text",
    [
        "2029-12-31T23:59:61Z", "2029-12-31T22:59:60Z", "2029-12-31T23:58:60Z", "2029-12-31T23:59:60-08:00",
        "9999-12-31T23:59:60Z", "2029-12-31T23:59:60", "t", "z", "2029-13-31t23:59:00z", "\u0131T23:59:60Z",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        load(HideBody, {"until": text})
