"""Every failure of the domain has one problem that the client gets for it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from datetime import UTC, datetime

import pytest

import shared.domain
from api.pictures import errors
from api.problems import EmailTaken, ListingIsFull, NotFound, Problem, problem_of
from shared.domain import email_addresses, messages, repeats, users
from shared.domain.listings import RenewedRecently
from shared.domain.pictures import MAX_PICTURES, NotItsPictures
from shared.domain.text import in_words
from shared.domain.uploads import MismatchingOffset

# The handler of messages names the wrong fields of an InvalidMessage itself, and a schema those with an InvalidAddress.
# A repeat is answered as it was before. The other two are only base classes.
ELSEWHERE = {
    messages.InvalidMessage,
    email_addresses.InvalidAddress,
    repeats.Repeated,
    messages.MessageRefused,
    errors.PictureRefused,
}

GIVEN: dict[type[Exception], tuple[object, ...]] = {
    **dict.fromkeys(errors.PictureRefused.__subclasses__(), ("a reason",)),
    **dict.fromkeys((users.NewAccountLimited, messages.TooManyNewPeople), (datetime.now(UTC), 60)),
    RenewedRecently: (datetime.now(UTC), 60),
    NotItsPictures: ([1],),
    MismatchingOffset: (3,),
}
"""What the failures are made with that need something."""


def failures() -> list[type[Exception]]:
    modules = [
        importlib.import_module(f"shared.domain.{found.name}") for found in pkgutil.iter_modules(shared.domain.__path__)
    ]
    return [
        kind
        for module in [*modules, errors]
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__ and not kind.__name__.startswith("_")
        if kind not in ELSEWHERE
    ]


@pytest.mark.parametrize("kind", failures(), ids=lambda kind: kind.__name__)
def test_every_failure_of_the_domain_has_a_problem(kind: type[Exception]) -> None:
    error = kind(*GIVEN.get(kind, ()))
    problem = problem_of(error)
    assert isinstance(problem, Problem)
    assert 400 <= problem.status <= 503
    assert problem.slug != "internal-error"


def test_a_failure_has_the_problem_of_its_base_class() -> None:
    class SomebodyElsesEmail(users.EmailTaken):
        pass

    assert isinstance(problem_of(SomebodyElsesEmail()), EmailTaken)
    assert isinstance(problem_of(messages.UnknownRecipient()), NotFound)
    assert problem_of(ValueError()) is None


def test_the_text_names_the_limit_of_pictures() -> None:
    assert f"{in_words(MAX_PICTURES)} " in ListingIsFull.title
