"""What a conversation is created with, from all the places that may say so."""

import pytest

from pipecat_tavus import ConversationOptions, TavusConfigError
from pipecat_tavus.rest.choosing import DEFAULT_PERSONA, complete_options


def body(options=None, **more):
    return complete_options(options, **more).body()


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
        ({"environment": {"TAVUS_REPLICA_ID": "r", "TAVUS_FACE_ID": "f"}}, "replica_id and face"),
        ({"options": ConversationOptions(replica_id="r"), "face_id": "f"}, "replica_id and face"),
        ({"options": ConversationOptions(replica_id="r"), "replica_id": "s"}, "given twice"),
        ({}, "TAVUS_REPLICA_ID"),
    ],
)
def test_one_thing_that_is_named_twice_or_not_at_all_is_refused(arguments, words):
    with pytest.raises(TavusConfigError, match=words):
        complete_options(**{"options": None, **arguments})


def test_the_same_name_twice_is_no_contradiction():
    assert body(ConversationOptions(replica_id="r"), replica_id="r")["replica_id"] == "r"


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
