"""What a conversation is created with, from all the places that may say so."""

import pytest

from pipecat_tavus import Conversation, ConversationOptions, TavusConfigError
from pipecat_tavus.rest.choosing import DEFAULT_PERSONA, choose_options


def body(options=None, **more):
    return choose_options(options, **more).body()


def test_the_default_persona_gives_way_to_any_other():
    assert body(replica_id="r", persona_id=DEFAULT_PERSONA)["persona_id"] == DEFAULT_PERSONA
    for given in ({"pal_id": "p"}, {"options": ConversationOptions(pal_id="p")}):
        named = body(replica_id="r", persona_id=DEFAULT_PERSONA, **given)
        assert "persona_id" not in named
        assert named["pal_id"] == "p"
    named = body(ConversationOptions(persona_id="mine"), persona_id=DEFAULT_PERSONA)
    assert named["persona_id"] == "mine"


def test_an_argument_goes_before_the_environment_and_options_do_as_well():
    environment = {"TAVUS_REPLICA_ID": "er", "TAVUS_PAL_ID": "ep"}
    assert body(environment=environment) == {"replica_id": "er", "pal_id": "ep", "properties": {}}
    older = {"TAVUS_FACE_ID": "ef", "TAVUS_PERSONA_ID": "ep"}
    assert body(environment=older) == {"face_id": "ef", "persona_id": "ep", "properties": {}}
    named = body(ConversationOptions(persona_id="p"), face_id="f", environment=environment)
    assert named == {"persona_id": "p", "face_id": "f", "properties": {}}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"replica_id": "r", "face_id": "f"}, "replica_id and face_id"),
        ({"persona_id": "p", "pal_id": "q"}, "persona_id and pal_id"),
        (
            {"environment": {"TAVUS_REPLICA_ID": "r", "TAVUS_FACE_ID": "f"}},
            "TAVUS_REPLICA_ID and TAVUS_FACE_ID are two names of the same",
        ),
        (
            {"replica_id": "r", "environment": {"TAVUS_PERSONA_ID": "p", "TAVUS_PAL_ID": "p"}},
            "TAVUS_PERSONA_ID and TAVUS_PAL_ID are two names of the same",
        ),
        ({"options": ConversationOptions(replica_id="r"), "face_id": "f"}, "replica_id and face"),
        ({"options": ConversationOptions(replica_id="r"), "replica_id": "s"}, "given twice"),
        ({}, "TAVUS_REPLICA_ID"),
    ],
)
def test_one_thing_that_is_named_twice_or_not_at_all_is_refused(arguments, words):
    with pytest.raises(TavusConfigError, match=words):
        choose_options(**{"options": None, **arguments})


def test_the_same_name_twice_is_no_contradiction():
    for name in ("r", " r "):
        assert body(ConversationOptions(replica_id="r"), replica_id=name)["replica_id"] == "r"


@pytest.mark.parametrize(
    "blank",
    [
        {"persona_id": ""},
        {"persona_id": " "},
        {"pal_id": " "},
        {"environment": {"TAVUS_PERSONA_ID": " ", "TAVUS_PAL_ID": ""}},
    ],
)
def test_what_is_blank_is_not_given_and_the_default_persona_speaks(blank):
    named = body(**{"replica_id": "r", "persona_id": DEFAULT_PERSONA, **blank})
    assert named["persona_id"] == DEFAULT_PERSONA


def test_an_argument_that_is_blank_leaves_the_word_to_the_environment():
    environment = {"TAVUS_FACE_ID": "f\n", "TAVUS_PERSONA_ID": " p "}
    named = body(replica_id=" ", persona_id="", environment=environment)
    assert named == {"face_id": "f", "persona_id": "p", "properties": {}}


def test_without_a_persona_the_replica_has_its_own():
    assert body(replica_id="r", persona_id=None) == {"replica_id": "r", "properties": {}}


def test_one_who_is_let_in_by_nobody_is_missed_before_it_is_billed():
    options = ConversationOptions(max_participants=2)
    assert body(options, replica_id="r")["max_participants"] == 2
    with pytest.raises(TavusConfigError, match=r"leaves nobody to talk to.*at least 3"):
        choose_options(options, replica_id="r", places=3)


def known_of(conversation=None, **more):
    existing = {"conversation_id": "c", **(conversation or {})}
    options = choose_options(None, Conversation.model_validate(existing), **more)
    return options.body(), options.persona


def test_of_a_conversation_that_exists_only_the_persona_matters_and_its_own_word_first():
    environment = {"TAVUS_PAL_ID": "e", "TAVUS_REPLICA_ID": "r", "TAVUS_FACE_ID": "f"}
    own = {"persona_id": "own"}
    assert known_of(own, persona_id="p", pal_id="q", environment=environment) == (own, "own")
    assert known_of(persona_id="p", limits={"max_call_duration": 9})[0] == {"persona_id": "p"}
    assert known_of(persona_id=DEFAULT_PERSONA, environment=environment)[1] == "e"
    assert known_of(persona_id=DEFAULT_PERSONA, replica_id="r", face_id="f")[1] == DEFAULT_PERSONA
    assert known_of(persona_id=None) == ({}, None)


@pytest.mark.parametrize(
    "twice",
    [
        {"persona_id": "p", "pal_id": "q"},
        {"environment": {"TAVUS_PERSONA_ID": "p", "TAVUS_PAL_ID": "q"}},
    ],
)
def test_its_persona_is_not_named_twice_either(twice):
    with pytest.raises(TavusConfigError, match="two names of the same"):
        known_of(**twice)


def test_limits_hold_where_the_options_leave_them_open_and_unknown_options_are_kept():
    options = ConversationOptions(
        replica_id="r", properties={"max_call_duration": 60, "brand_new": 1}, new_one=[2]
    )
    limits = {"max_call_duration": 3600, "participant_left_timeout": 30, "other": None}
    assert body(options, limits=limits) == {
        "replica_id": "r",
        "properties": {
            "max_call_duration": 60,
            "participant_left_timeout": 30,
            "brand_new": 1,
        },
        "new_one": [2],
    }
