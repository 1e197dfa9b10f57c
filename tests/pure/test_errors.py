"""Errors: they say what, why and what to do, and what they mean to a pipeline."""

import inspect

import pytest
from pipecat.utils.errors import ErrorCategory

import pipecat_tavus
from pipecat_tavus import errors
from pipecat_tavus.errors import (
    TavusApiError,
    TavusAuthenticationError,
    TavusConcurrencyLimitError,
    TavusConfigError,
    TavusConnectionError,
    TavusError,
    TavusInvalidRequestError,
    TavusMalformedAnswerError,
    TavusNotFoundError,
    TavusOutOfCreditsError,
    TavusRateLimitError,
    TavusRoomClosedError,
    TavusRoomJoinError,
    TavusServerError,
    TavusTimeoutError,
)


def classes():
    return [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, TavusError)]


def test_every_error_is_public_and_in_the_tree_that_the_module_draws():
    for cls in classes():
        assert cls.__name__ in errors.__doc__
        assert getattr(pipecat_tavus, cls.__name__) is cls


def test_all_is_what_there_is():
    for name in pipecat_tavus.__all__:
        assert hasattr(pipecat_tavus, name)
    assert pipecat_tavus.__all__ == sorted(pipecat_tavus.__all__)


def test_an_error_says_what_why_and_what_to_do():
    error = TavusAuthenticationError("POST /conversations", "Invalid access token", status=401)
    assert str(error) == (
        "Tavus POST /conversations failed: 401 Invalid access token. "
        "Check the API key (TAVUS_API_KEY)."
    )
    assert (error.request, error.message, error.status) == (
        "POST /conversations",
        "Invalid access token",
        401,
    )


def test_an_error_without_a_status_or_a_hint_has_neither_in_its_text():
    assert str(TavusTimeoutError("GET /x", "no answer within 9 s")) == (
        "Tavus GET /x failed: no answer within 9 s"
    )


def test_a_refused_value_is_a_value_error():
    assert issubclass(TavusConfigError, ValueError)


@pytest.mark.parametrize(
    ("cls", "category", "permanent"),
    [
        (TavusAuthenticationError, ErrorCategory.AUTHENTICATION, True),
        (TavusConfigError, ErrorCategory.INVALID_REQUEST, True),
        (TavusInvalidRequestError, ErrorCategory.INVALID_REQUEST, True),
        (TavusNotFoundError, ErrorCategory.INVALID_REQUEST, True),
        (TavusConcurrencyLimitError, ErrorCategory.RATE_LIMIT, False),
        (TavusRateLimitError, ErrorCategory.RATE_LIMIT, False),
        (TavusOutOfCreditsError, ErrorCategory.QUOTA, False),
        (TavusServerError, ErrorCategory.SERVER, False),
        (TavusMalformedAnswerError, ErrorCategory.SERVER, False),
        (TavusConnectionError, ErrorCategory.CONNECTIVITY, False),
        (TavusTimeoutError, ErrorCategory.CONNECTIVITY, False),
        (TavusRoomJoinError, ErrorCategory.CONNECTIVITY, False),
        (TavusRoomClosedError, ErrorCategory.CONNECTIVITY, False),
        (TavusApiError, ErrorCategory.UNKNOWN, False),
    ],
)
def test_each_class_has_its_pipecat_category(cls, category, permanent):
    assert cls.category is category
    assert category.is_permanent is permanent
