"""Models: bad values are refused with a reason, unknown ones pass, secrets stay hidden."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipecat_tavus import (
    Conversation,
    ConversationOptions,
    ConversationPage,
    ConversationProperties,
    Persona,
    Replica,
    TavusConfigError,
    TavusParams,
)

circle = []
circle.append(circle)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "replica_id or persona_id is needed"),
        ({"replica_id": " ", "persona_id": ""}, "replica_id or persona_id is needed"),
        ({"replica_id": "r", "max_participants": 1}, "max_participants.*2.*got 1"),
        ({"replica_id": "r", "max_call_duration": 3601}, "max_call_duration.*3600.*got 3601"),
        ({"replica_id": "r", "properties": {"max_call_duration": 4000}}, "max_call_duration.*4000"),
        ({"replica_id": "r", "participant_left_timeout": -1}, "participant_left_timeout.*-1"),
        ({"replica_id": "r", "callback_url": "example.com"}, "callback_url.*http"),
        ({"replica_id": "r", "document_retrieval_strategy": "best"}, "document_retrieval_strategy"),
        ({"replica_id": "r", "properties": "none"}, "properties"),
        ({"replica_id": "r", "memory_stores": "one"}, "memory_stores"),
        ({"replica_id": "r", "face_id": "f"}, "replica_id and face_id are two names"),
        ({"persona_id": "p", "pal_id": "p"}, "persona_id and pal_id are two names"),
        (
            {"replica_id": "r", "language": "english", "properties": {"language": "german"}},
            "language is given twice",
        ),
        ({"replica_id": "r", "new": datetime.now()}, "sent as JSON.*datetime"),
        ({"replica_id": "r", "new": [{"a": float("nan")}]}, "sent as JSON"),
        ({"replica_id": "r", "new": circle}, "sent as JSON"),
    ],
)
def test_a_bad_option_is_refused_and_named(options, words):
    with pytest.raises(TavusConfigError, match=words):
        ConversationOptions.check(**options)


def test_the_body_holds_what_was_given_and_no_more():
    options = ConversationOptions.check(
        replica_id=" r1 ",
        persona_id=None,
        conversation_name="Call",
        require_auth=True,
        max_participants=2,
        properties={"language": "english", "new_property": 1},
        max_call_duration=600,
        callback_url="https://example.com/hook",
        brand_new_option={"a": [1]},
    )
    assert options.body() == {
        "replica_id": "r1",
        "conversation_name": "Call",
        "require_auth": True,
        "max_participants": 2,
        "callback_url": "https://example.com/hook",
        "properties": {"language": "english", "max_call_duration": 600, "new_property": 1},
        "brand_new_option": {"a": [1]},
    }


def test_a_property_beside_properties_joins_them_in_each_form():
    for properties in ({"language": "english"}, ConversationProperties(language="english")):
        options = ConversationOptions(
            properties=properties, enable_recording=True, language="english", apply_greenscreen=None
        )
        assert options.body() == {"properties": {"language": "english", "enable_recording": True}}


def test_where_webhooks_go_is_in_no_repr():
    url = "https://example.com/unguessable"
    for it in (
        ConversationOptions(callback_url=url),
        Conversation(conversation_id="c", callback_url=url),
    ):
        assert it.callback_url == url
        assert "unguessable" not in repr(it) + str(it)


def test_a_token_in_the_url_is_the_meeting_token_and_in_the_url_no_longer():
    url = "https://tavus.daily.co/c"
    conversation = Conversation(conversation_id="c", conversation_url=f"{url}?t=SECRET&x=1")
    assert (conversation.url, conversation.token) == (f"{url}?x=1", "SECRET")
    assert conversation.join_url == f"{url}?x=1&t=SECRET"
    both = Conversation(conversation_id="c", conversation_url=f"{url}?t=OLD", meeting_token="NEW")
    assert (both.url, both.token, both.join_url) == (url, "NEW", f"{url}?t=NEW")


@pytest.mark.parametrize("url", ["", "https://[", "https://x:99999/c", "ftp://x/c", "c", "https:c"])
def test_a_url_of_no_room_spoils_no_list_and_is_told(url):
    conversation = Conversation(conversation_id="c", conversation_url=url)
    assert conversation.url == url
    assert not conversation.has_room


@settings(deadline=None)
@given(st.text(), st.text())
def test_whatever_is_in_a_url_a_conversation_is_read(before, token):
    for url in (before, f"https://{before}?t={token}", f"https://x.y/{before}?a&t={token}"):
        conversation = Conversation(conversation_id="c", conversation_url=url)
        assert conversation.has_room in (True, False)
        assert conversation.id == "c"


def test_the_new_names_of_replica_and_persona_count_as_well():
    assert ConversationOptions.check(face_id="f").body() == {"face_id": "f"}
    assert ConversationOptions.check(pal_id="p").body() == {"pal_id": "p"}


def test_options_are_no_list():
    with pytest.raises(ValidationError):
        ConversationOptions.model_validate(["replica_id"])


def test_a_conversation_keeps_unknown_fields_and_hides_its_token():
    conversation = Conversation.model_validate(
        {
            "conversation_id": "c1",
            "conversation_url": "https://tavus.daily.co/c1?t=secret-token",
            "meeting_token": "secret-token",
            "face_id": "f1",
            "pal_id": "p1",
            "brand_new": 7,
        }
    )
    assert (conversation.id, conversation.token) == ("c1", "secret-token")
    assert conversation.url == "https://tavus.daily.co/c1"
    assert (conversation.replica_id, conversation.persona_id) == ("f1", "p1")
    assert conversation.model_extra == {"brand_new": 7}
    assert "secret-token" not in repr(conversation)
    assert "secret-token" not in str(conversation)


def test_a_public_conversation_has_no_token():
    assert Conversation(conversation_id="c").token is None


def test_a_page_lists_conversations():
    page = ConversationPage.model_validate({"data": [{"conversation_id": "c"}], "total_count": 12})
    assert [c.id for c in page.data] == ["c"]
    assert page.total_count == 12


@pytest.mark.parametrize(
    "answer",
    [
        {"persona_id": "p", "persona_name": "Anna"},
        {"pal_id": "p", "pal_name": "Anna"},
        {"data": [{"persona_id": "p", "persona_name": "Anna"}]},
        {"data": {"persona_id": "p", "persona_name": "Anna"}},
    ],
)
def test_a_persona_is_read_in_all_its_forms(answer):
    persona = Persona.model_validate(answer)
    assert (persona.persona_id, persona.persona_name) == ("p", "Anna")


@pytest.mark.parametrize("answer", [{"data": []}, {"data": [1, 2]}, [], "Anna", None, {}])
def test_what_is_no_persona_is_refused(answer):
    with pytest.raises(ValidationError):
        Persona.model_validate(answer)


def test_a_replica_is_read_by_both_names():
    old = Replica.model_validate({"replica_id": "r", "replica_name": "A", "training_progress": 1})
    new = Replica.model_validate({"data": [{"face_id": "r", "face_name": "A"}]})
    assert (old.replica_id, old.replica_name) == (new.replica_id, new.replica_name) == ("r", "A")


def test_params_have_the_defaults_of_a_bot_behind_a_replica():
    params = TavusParams()
    assert params.audio_in_enabled
    assert params.audio_out_enabled
    assert not params.microphone_out_enabled


def test_the_rooms_mix_which_has_the_replicas_voice_is_refused():
    with pytest.raises(ValidationError, match="replica's own voice"):
        TavusParams(audio_in_user_tracks=False)


@pytest.mark.parametrize("name", ["request_timeout", "join_timeout"])
def test_a_limit_of_no_time_is_refused(name):
    with pytest.raises(ValidationError):
        TavusParams(**{name: 0})
