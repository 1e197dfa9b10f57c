"""Retry: bounded, spread out, and never a create that may have worked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecat_tavus.errors import (
    TavusApiError,
    TavusAuthenticationError,
    TavusConcurrencyLimitError,
    TavusConnectionError,
    TavusInvalidRequestError,
    TavusMalformedAnswerError,
    TavusNotFoundError,
    TavusOutOfCreditsError,
    TavusRateLimitError,
    TavusServerError,
    TavusTimeoutError,
)
from pipecat_tavus.rest.retry import RetryPolicy

TRANSIENT = [
    TavusConnectionError,
    TavusMalformedAnswerError,
    TavusRateLimitError,
    TavusServerError,
    TavusTimeoutError,
]
FINAL = [
    TavusAuthenticationError,
    TavusConcurrencyLimitError,
    TavusInvalidRequestError,
    TavusNotFoundError,
    TavusOutOfCreditsError,
]

errors = st.builds(
    lambda cls, status, after, maybe: cls(
        "POST /conversations", "no", status=status, retry_after=after, maybe_accepted=maybe
    ),
    st.sampled_from(TRANSIENT + FINAL),
    st.none() | st.integers(100, 599),
    st.none() | st.floats(0, 100),
    st.booleans(),
)
policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 8),
    base_delay=st.floats(0.01, 2),
    max_delay=st.floats(0.01, 10),
)
jitters = st.floats(0, 1, exclude_max=True)


@given(policies, errors, st.integers(1, 20), jitters)
def test_a_create_that_may_have_worked_is_never_sent_again(policy, error, attempt, jitter):
    delay = policy.delay(error, attempt=attempt, repeatable=False, jitter=jitter)
    if error.maybe_accepted:
        assert delay is None


@given(policies, errors, st.integers(1, 20), st.booleans(), jitters)
def test_tries_and_delays_are_bounded(policy, error, attempt, repeatable, jitter):
    delay = policy.delay(error, attempt=attempt, repeatable=repeatable, jitter=jitter)
    if attempt >= policy.attempts or type(error) in FINAL:
        assert delay is None
    elif delay is not None:
        assert 0 <= delay <= policy.max_delay


@pytest.mark.parametrize("cls", FINAL)
def test_an_error_that_stays_is_not_tried_again(cls):
    assert RetryPolicy().delay(cls("GET /x", "no"), attempt=1, repeatable=True, jitter=0) is None


@pytest.mark.parametrize("cls", TRANSIENT)
def test_an_error_that_may_pass_is_tried_again(cls):
    error = cls("GET /x", "no", maybe_accepted=True)
    assert RetryPolicy().delay(error, attempt=1, repeatable=True, jitter=0) is not None


def test_a_create_that_was_certainly_refused_is_tried_again():
    error = TavusConnectionError("POST /conversations", "refused", maybe_accepted=False)
    assert RetryPolicy().delay(error, attempt=1, repeatable=False, jitter=0) is not None


def test_delays_double_up_to_the_longest():
    policy = RetryPolicy(attempts=6, base_delay=1, max_delay=5)
    error = TavusServerError("GET /x", "no")
    delays = [policy.delay(error, attempt=n, repeatable=True, jitter=0.999999) for n in range(1, 6)]
    assert delays == pytest.approx([1, 2, 4, 5, 5], rel=1e-3)


def test_jitter_halves_the_delay_at_most():
    policy = RetryPolicy(base_delay=1)
    error: TavusApiError = TavusServerError("GET /x", "no")
    assert policy.delay(error, attempt=1, repeatable=True, jitter=0) == 0.5


def test_what_the_server_asks_for_is_kept_and_too_long_a_wait_is_none():
    policy = RetryPolicy(max_delay=4)
    soon = TavusRateLimitError("GET /x", "no", retry_after=3)
    late = TavusRateLimitError("GET /x", "no", retry_after=60)
    assert policy.delay(soon, attempt=1, repeatable=True, jitter=0.5) == 3
    assert policy.delay(late, attempt=1, repeatable=True, jitter=0.5) is None
