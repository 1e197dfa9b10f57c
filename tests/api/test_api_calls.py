"""TavusApi: what it sends, what it answers, and each way in which a call can fail."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from loguru import logger

from pipecat_tavus import (
    RetryPolicy,
    TavusApi,
    TavusApiError,
    TavusAuthenticationError,
    TavusConcurrencyLimitError,
    TavusConfigError,
    TavusConnectionError,
    TavusInvalidRequestError,
    TavusMalformedAnswerError,
    TavusNotFoundError,
    TavusOutOfCreditsError,
    TavusRateLimitError,
    TavusServerError,
    TavusTimeoutError,
)

from .conftest import BASE, KEY, QUICK

CREATED = {
    "conversation_id": "c1",
    "conversation_name": "n",
    "conversation_url": "https://tavus.daily.co/c1",
    "status": "active",
    "new_field": 1,
}


async def test_create_sends_the_key_and_the_options_and_answers_the_conversation(api, tavus):
    tavus.answers("POST", "/conversations", payload=CREATED)
    conversation = await api.create_conversation("r1", "p1", conversation_name="n")
    assert (conversation.id, conversation.url) == ("c1", "https://tavus.daily.co/c1")
    assert conversation.model_extra == {"new_field": 1}
    [(method, url, sent)] = tavus.calls
    assert (method, url) == ("POST", f"{BASE}/conversations")
    assert sent["json"] == {"replica_id": "r1", "persona_id": "p1", "conversation_name": "n"}
    assert sent["headers"] == {"x-api-key": KEY}
    assert sent["allow_redirects"] is False


@pytest.mark.parametrize("name", ["persona_id", "pal_id"])
async def test_a_created_conversation_knows_its_persona_whether_or_not_the_answer_does(
    api, tavus, name
):
    tavus.answers("POST", "/conversations", payload=CREATED)
    tavus.answers("POST", "/conversations", payload={**CREATED, "persona_id": "told"})
    options = {"persona_id": None, name: "p1"}
    assert (await api.create_conversation("r1", **options)).persona_id == "p1"
    assert (await api.create_conversation("r1", **options)).persona_id == "told"


async def test_the_other_calls_ask_where_tavus_answers(api, tavus):
    tavus.answers("GET", "/conversations/c1?verbose=true", payload=CREATED)
    tavus.answers("GET", "/conversations/c1", payload=CREATED)
    tavus.answers(
        "GET",
        "/conversations?limit=5&page=2&status=active",
        payload={"data": [CREATED], "total_count": 6},
    )
    tavus.answers("GET", "/conversations?limit=10&page=1", payload={"data": [], "total_count": 0})
    tavus.answers("GET", "/personas/p1", payload={"data": [{"persona_name": "Anna"}]})
    tavus.answers("GET", "/personas/p1", payload={"persona_name": "Anna"})
    tavus.answers("GET", "/replicas/r1", payload={"replica_id": "r1", "status": "completed"})
    tavus.answers("POST", "/conversations/c1/end", body="")
    assert (await api.get_conversation("c1", verbose=True)).id == "c1"
    assert (await api.get_conversation("c1")).id == "c1"
    page = await api.list_conversations(status="active", limit=5, page=2)
    assert ([c.id for c in page.data], page.total_count) == (["c1"], 6)
    assert (await api.list_conversations()).data == []
    assert (await api.get_persona("p1")).persona_name == "Anna"
    assert await api.get_persona_name("p1") == "Anna"
    assert (await api.get_replica("r1")).status == "completed"
    await api.end_conversation("c1")


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, '{"message": "Invalid access token"}', TavusAuthenticationError, "Invalid access"),
        (403, '{"error": "Forbidden"}', TavusAuthenticationError, "Forbidden"),
        (400, '{"error": "bad replica"}', TavusInvalidRequestError, "bad replica"),
        (418, '{"error": "teapot"}', TavusInvalidRequestError, "teapot"),
        (422, '{"message": {"a": ["b"]}}', TavusInvalidRequestError, '"a": '),
        (
            400,
            '{"message": "User has reached maximum concurrent conversations"}',
            TavusConcurrencyLimitError,
            "User has reached maximum concurrent conversations",
        ),
        (402, '{"message": "out of credits"}', TavusOutOfCreditsError, "out of credits"),
        (404, '{"error": "no such thing"}', TavusNotFoundError, "no such thing"),
        (500, "<html>oops</html>", TavusServerError, "<html>oops</html>"),
        (502, "", TavusServerError, r"\(no message\)"),
        (400, '["a list"]', TavusInvalidRequestError, "a list"),
    ],
)
async def test_each_refusal_is_its_own_error_with_tavus_words(
    api, tavus, status, body, error, words
):
    tavus.answers("POST", "/conversations", status=status, body=body)
    with pytest.raises(error, match=words) as caught:
        await api.create_conversation("r1")
    assert type(caught.value) is error
    assert caught.value.status == status
    assert str(status) in str(caught.value)
    assert "POST /conversations" in str(caught.value)
    assert caught.value.maybe_accepted is (status >= 500)


async def test_a_long_answer_is_cut_in_the_error(api, tavus):
    tavus.answers("GET", "/personas/p", status=404, body="x" * 10_000)
    with pytest.raises(TavusNotFoundError) as caught:
        await api.get_persona("p")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "body",
    ["", "<html>", '{"conversation_id"', "[]", "{}", '{"conversation_id": "", "status": "x"}'],
)
async def test_an_answer_that_is_none_is_an_error_that_says_so(api, tavus, body):
    tavus.answers("POST", "/conversations", body=body)
    with pytest.raises(TavusMalformedAnswerError) as caught:
        await api.create_conversation("r1")
    assert caught.value.maybe_accepted
    assert len(tavus.calls) == 1


async def test_a_conversation_without_a_room_is_an_error_that_names_it(api, tavus):
    tavus.answers("POST", "/conversations", payload={"conversation_id": "c9"})
    with pytest.raises(TavusMalformedAnswerError, match="c9 has no conversation_url"):
        await api.create_conversation("r1")


async def test_a_token_in_a_bad_answer_stays_out_of_the_error(api, tavus):
    for body in (
        '{"conversation_url": "https://x", "meeting_token": "s3cret"}',
        '{"meeting_token": "s3cret", "conversation_id": ',
        '{"conversation_id": "c", "meeting_token": ["s3cret"]}',
    ):
        tavus.answers("POST", "/conversations", body=body)
        with pytest.raises(TavusMalformedAnswerError) as caught:
            await api.create_conversation("r1")
        assert "s3cret" not in str(caught.value)


async def test_the_end_of_an_ended_or_unknown_conversation_is_an_end(api, tavus):
    tavus.answers("POST", "/conversations/c1/end", status=404, body="{}")
    tavus.answers(
        "POST", "/conversations/c1/end", status=400, payload={"error": "Invalid conversation_id"}
    )
    await api.end_conversation("c1")
    await api.end_conversation("c1")


async def test_an_end_that_fails_is_tried_again(api, tavus):
    for status in (500, 503, 200):
        tavus.answers("POST", "/conversations/c1/end", status=status, body="")
    await api.end_conversation("c1")
    assert len(tavus.calls) == 3


async def test_an_end_that_goes_on_failing_is_an_error(api, tavus):
    for _ in range(QUICK.attempts):
        tavus.answers("POST", "/conversations/c1/end", status=500, body="no")
    with pytest.raises(TavusServerError):
        await api.end_conversation("c1")


async def test_an_end_that_is_not_allowed_is_an_error(api, tavus):
    tavus.answers("POST", "/conversations/c1/end", status=401, body="no")
    with pytest.raises(TavusAuthenticationError):
        await api.end_conversation("c1")


async def test_nothing_is_sent_to_end_nothing(api, tavus):
    await api.end_conversation("")
    await api.end_conversation(TavusApi.MOCK_CONVERSATION_ID)
    assert tavus.calls == []


@pytest.mark.parametrize("failure", [500, 503, "broken"])
async def test_a_create_that_may_have_worked_is_sent_once(api, tavus, failure):
    for _ in range(3):
        if failure == "broken":
            tavus.answers("POST", "/conversations", exception=aiohttp.ServerDisconnectedError())
        else:
            tavus.answers("POST", "/conversations", status=failure)
    with pytest.raises(TavusApiError) as caught:
        await api.create_conversation("r1")
    assert caught.value.maybe_accepted
    assert len(tavus.calls) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_create_that_was_refused_at_the_door_is_sent_again(api, tavus, status):
    tavus.answers("POST", "/conversations", status=status, headers={"Retry-After": "0"})
    tavus.answers("POST", "/conversations", payload=CREATED)
    assert (await api.create_conversation("r1")).id == "c1"
    assert len(tavus.calls) == 2


async def test_a_rate_limit_tells_when_to_come_back(api, tavus):
    tavus.answers("GET", "/personas/p", status=429, headers={"Retry-After": "30"})
    with pytest.raises(TavusRateLimitError) as caught:
        await api.get_persona("p")
    assert caught.value.retry_after == 30


async def test_a_date_to_come_back_at_is_passed_over(api, tavus):
    for _ in range(QUICK.attempts):
        tavus.answers("GET", "/personas/p", status=429, headers={"Retry-After": "Mon, 1 Jan"})
    with pytest.raises(TavusRateLimitError) as caught:
        await api.get_persona("p")
    assert caught.value.retry_after is None


async def test_ids_cannot_leave_their_place_in_the_path(api, tavus):
    tavus.answers("GET", "/personas/..%2Fconversations%3Fx", payload={"persona_name": "n"})
    # aioresponses normalises the URL, so what counts is what was asked for.
    try:
        await api.get_persona("../conversations?x")
    except TavusConnectionError:
        pass
    [(_, url, _)] = tavus.calls
    assert "/personas/" in url
    assert "?" not in url


# Against a real server


async def test_no_answer_in_time_is_an_error_and_the_create_may_have_worked(serve, session):
    async def hang(request):
        await asyncio.sleep(30)
        return web.json_response(CREATED)

    api = TavusApi(KEY, session, base_url=await serve(hang), timeout=0.2)
    with pytest.raises(TavusTimeoutError, match=r"no answer within 0\.2 s") as caught:
        await api.create_conversation("r1")
    assert caught.value.maybe_accepted


async def test_the_last_error_is_told_when_time_runs_out_between_tries(serve, session):
    async def fail(request):
        return web.Response(status=500, text="boom")

    slow = RetryPolicy(attempts=9, base_delay=10, max_delay=10)
    api = TavusApi(KEY, session, base_url=await serve(fail), timeout=1, retry=slow)
    with pytest.raises(TavusServerError, match="boom"):
        await api.get_persona("p")


async def test_a_server_that_is_not_there_took_nothing(session, unused_tcp_port):
    api = TavusApi(KEY, session, base_url=f"http://127.0.0.1:{unused_tcp_port}", retry=QUICK)
    with pytest.raises(TavusConnectionError, match="cannot reach") as caught:
        await api.create_conversation("r1")
    assert not caught.value.maybe_accepted


async def test_a_connection_that_breaks_may_have_worked(serve, session):
    async def reset(request):
        request.transport.abort()
        return web.Response()

    api = TavusApi(KEY, session, base_url=await serve(reset), retry=QUICK)
    with pytest.raises(TavusConnectionError, match="the connection broke") as caught:
        await api.create_conversation("r1")
    assert caught.value.maybe_accepted


async def test_the_key_does_not_follow_a_redirect(serve, session):
    seen = []

    async def other(request):
        seen.append(request)
        return web.json_response(CREATED)

    elsewhere = await serve(other)

    async def redirect(request):
        raise web.HTTPFound(elsewhere + "/conversations")

    api = TavusApi(KEY, session, base_url=await serve(redirect))
    with pytest.raises(TavusInvalidRequestError, match=r"redirected to 127\.0\.0\.1"):
        await api.create_conversation("r1")
    assert seen == []


async def test_a_redirect_to_nonsense_is_the_same_error(api, tavus):
    tavus.answers("GET", "/personas/p", status=302, headers={"Location": "http://[::"})
    with pytest.raises(TavusInvalidRequestError, match="redirected to another address"):
        await api.get_persona("p")


async def test_an_answer_without_end_is_an_error(serve, session):
    async def flood(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(100):
                await response.write(b"x" * 100_000)
        except ConnectionError:
            pass
        return response

    api = TavusApi(KEY, session, base_url=await serve(flood), retry=RetryPolicy(attempts=1))
    with pytest.raises(TavusMalformedAnswerError, match="more than"):
        await api.get_persona("p")


async def test_a_closed_session_does_not_keep_a_conversation_from_its_end(serve):
    ended = []

    async def end(request):
        ended.append(request.path)
        return web.Response()

    session = aiohttp.ClientSession()
    await session.close()
    api = TavusApi(KEY, session, base_url=await serve(end))
    await api.end_conversation("c1")
    await api.close()
    assert ended == ["/v2/conversations/c1/end"]


async def test_without_a_session_the_api_opens_its_own_and_closes_it(serve):
    async def answer(request):
        return web.json_response({"persona_name": "Anna"})

    api = TavusApi(KEY, None, base_url=await serve(answer))
    await api.close()
    assert await api.get_persona_name("p") == "Anna"
    await api.close()
    assert await api.get_persona_name("p") == "Anna"
    await api.close()


async def test_time_that_runs_out_behind_a_refusal_means_that_nothing_was_accepted(serve, session):
    asked = []

    async def refuse(request):
        asked.append(1)
        return web.Response(status=429, headers={"Retry-After": "3"})

    api = TavusApi(KEY, session, base_url=await serve(refuse), timeout=1)
    with pytest.raises(TavusRateLimitError) as caught:
        await api.create_conversation("r1")
    assert not caught.value.maybe_accepted
    assert len(asked) == 1


async def test_time_that_runs_out_in_a_later_try_means_that_it_may_have_been_accepted(
    serve, session
):
    """What was refused before says nothing of the try that was under way."""
    asked = []

    async def refuse_then_hang(request):
        asked.append(1)
        if len(asked) == 1:
            return web.Response(status=429, headers={"Retry-After": "0"})
        await asyncio.sleep(30)
        return web.json_response(CREATED)

    api = TavusApi(KEY, session, base_url=await serve(refuse_then_hang), timeout=1)
    with pytest.raises(TavusTimeoutError) as caught:
        await api.create_conversation("r1")
    assert caught.value.maybe_accepted
    assert len(asked) == 2


# Construction


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_key_is_refused(key, monkeypatch):
    monkeypatch.delenv("TAVUS_SAMPLE_ROOM_URL", raising=False)
    with pytest.raises(TavusConfigError, match="TAVUS_API_KEY"):
        TavusApi(key, None)


@pytest.mark.parametrize("key", ["SEC\nRET", "SEC\x00RET", "SECR\u00e9T"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key):
    with pytest.raises(TavusConfigError, match="characters that no key has") as refused:
        TavusApi(key, None)
    assert "SEC" not in str(refused.value)
    assert TavusApi(f" {KEY}\n", None).fingerprint == TavusApi(KEY, None).fingerprint


@pytest.mark.parametrize("url", ["tavusapi.com/v2", "ftp://x/y", "http://", "http://[::1"])
def test_a_bad_url_is_refused(url):
    with pytest.raises(TavusConfigError, match="not an http or https URL"):
        TavusApi(KEY, None, base_url=url)


def test_the_url_is_the_argument_else_the_environment_else_tavus(monkeypatch):
    monkeypatch.delenv("TAVUS_API_URL", raising=False)
    assert TavusApi(KEY, None).base_url == TavusApi.BASE_URL == "https://tavusapi.com/v2"
    monkeypatch.setenv("TAVUS_API_URL", "http://127.0.0.1:1/v2/")
    assert TavusApi(KEY, None).base_url == "http://127.0.0.1:1/v2"
    assert TavusApi(KEY, None, base_url="https://a.b").base_url == "https://a.b"


async def test_a_bad_option_is_refused_before_any_request(api, tavus):
    with pytest.raises(TavusConfigError, match="max_participants"):
        await api.create_conversation("r1", max_participants=1)
    with pytest.raises(TavusConfigError, match="replica_id or persona_id"):
        await api.create_conversation()
    assert tavus.calls == []


async def test_the_development_room_makes_no_request(monkeypatch, tavus, session):
    monkeypatch.setenv("TAVUS_SAMPLE_ROOM_URL", "https://x.daily.co/dev")
    api = TavusApi("", session, base_url=BASE)
    conversation = await api.create_conversation("r", "p")
    assert (conversation.id, conversation.url) == ("dev-conversation", "https://x.daily.co/dev")
    assert await api.get_persona_name("p") == "TestTavusTransport"
    await api.end_conversation(conversation.id)
    assert tavus.calls == []


async def test_an_empty_development_room_is_none(monkeypatch, tavus, session):
    monkeypatch.setenv("TAVUS_SAMPLE_ROOM_URL", "")
    tavus.answers("GET", "/personas/p", payload={"persona_name": "Anna"})
    assert await TavusApi(KEY, session, base_url=BASE).get_persona_name("p") == "Anna"


async def test_the_key_is_in_no_log_repr_or_error(serve, session):
    async def echo(request):
        return web.Response(status=500, text=f"got {request.headers['x-api-key']}")

    lines = []
    sink = logger.add(lines.append, level="TRACE", diagnose=True, backtrace=True)
    try:
        api = TavusApi(KEY, session, base_url=await serve(echo), retry=QUICK)
        try:
            await api.get_persona("p")
        except TavusServerError as e:
            logger.exception("failed")
            assert KEY not in str(e)
            assert KEY not in repr(e)
        assert KEY not in repr(api)
        assert any("got [key]" in line for line in lines)
        assert not any(KEY in line for line in lines)
    finally:
        logger.remove(sink)
