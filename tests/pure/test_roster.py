"""The roster: the same for any order of events, and balanced in what it tells."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecat_tavus.room.roster import (
    Came,
    Part,
    Roster,
    Went,
    audio_media_of,
    media_of,
    video_state,
)

BOT = {"id": "bot", "info": {"userName": "Ada", "isLocal": True}}
REPLICA = {"id": "r", "info": {"userId": "x-tavus-replica-1", "userName": "Anna"}}
NAMED = {"id": "n", "info": {"userName": "Anna", "userId": None}}
USER = {"id": "u", "info": {"userName": "Mo"}}
OTHER = {"id": "v"}


def told(changes):
    return [(type(c).__name__, c.participant["id"], c.part.value) for c in changes]


def test_the_replica_is_known_by_its_user_id():
    assert told(Roster().joined(REPLICA)) == [("Came", "r", "replica")]


def test_the_replica_is_known_by_the_personas_name():
    roster = Roster()
    roster.persona_is("Anna")
    assert told(roster.joined(NAMED)) == [("Came", "n", "replica")]


def test_somebody_without_name_or_info_is_a_client():
    assert told(Roster().joined(OTHER)) == [("Came", "v", "client")]
    assert told(Roster().joined({"id": "w", "info": None})) == [("Came", "w", "client")]
    assert told(Roster().joined({"id": "w", "info": {"userId": 7}})) == [("Came", "w", "client")]


def test_a_human_who_bears_the_personas_name_is_a_client_beside_the_replica():
    roster = Roster()
    roster.persona_is("Anna")
    roster.joined(REPLICA)
    assert told(roster.joined(NAMED)) == [("Came", "n", "client")]


def test_a_name_that_comes_late_turns_a_client_into_the_replica():
    roster = Roster()
    roster.joined(NAMED)
    assert told(roster.persona_is("Anna")) == [("Went", "n", "client"), ("Came", "n", "replica")]
    assert roster.has_replica


def test_an_update_that_names_the_replica_does_the_same():
    roster = Roster()
    roster.joined({"id": "r"})
    assert told(roster.updated(REPLICA)) == [("Went", "r", "client"), ("Came", "r", "replica")]


def test_an_update_of_somebody_who_is_not_there_brings_nobody():
    roster = Roster()
    roster.joined(USER)
    roster.left(USER, "leftCall")
    assert roster.updated(USER) == []
    assert roster.parts == {}


def test_the_bot_is_nobody_and_a_participant_without_id_neither():
    roster = Roster()
    assert roster.joined(BOT) == []
    assert roster.joined({"info": {"userName": "?"}}) == []
    assert roster.joined({"id": None}) == []
    assert roster.left({}, "") == []


def test_the_bots_own_id_takes_it_out_again():
    roster = Roster()
    roster.joined({"id": "bot"})
    assert told(roster.bot_is("bot")) == [("Went", "bot", "client")]
    assert roster.joined({"id": "bot"}) == []


def test_who_leaves_is_told_with_what_was_known_and_why():
    roster = Roster()
    roster.joined(USER)
    assert roster.left({"id": "u"}, "leftCall") == [Went(USER, Part.CLIENT, "leftCall")]


def test_who_comes_back_is_told_again():
    roster = Roster()
    roster.joined(USER)
    roster.left(USER)
    assert roster.joined(USER) == [Came(USER, Part.CLIENT)]


def test_a_closed_room_is_empty():
    roster = Roster()
    roster.joined(USER)
    roster.joined(REPLICA)
    assert told(roster.closed("deleted")) == [("Went", "u", "client"), ("Went", "r", "replica")]
    assert not roster.has_replica


@pytest.mark.parametrize("order", ["".join(order) for order in permutations("runvp")])
def test_any_order_of_joins_gives_the_same_roster(order):
    people = {"r": REPLICA, "u": USER, "n": NAMED, "v": OTHER}
    roster = Roster()
    for who in order:
        if who == "p":
            roster.persona_is("Anna")
        else:
            roster.joined(people[who])
    assert {i: p.value for i, p in roster.parts.items()} == {
        "r": "replica",
        "u": "client",
        "n": "client",
        "v": "client",
    }


ids = st.sampled_from(["a", "b", "c", "d", "bot"])
infos = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "userId": st.sampled_from(["tavus-replica-1", "someone", None, 5]),
        "userName": st.sampled_from(["Anna", "Mo", None, 5]),
        "isLocal": st.booleans(),
    },
)
people = st.builds(lambda i, info: {"id": i, "info": info}, ids, infos)
events = st.lists(
    st.tuples(st.sampled_from(["joined", "updated", "left"]), people)
    | st.tuples(st.just("persona_is"), st.sampled_from(["Anna", "Mo"]))
    | st.tuples(st.just("bot_is"), st.just("bot"))
)


def play(roster, history):
    changes = []
    for name, argument in history:
        changes += getattr(roster, name)(argument)
    return changes


@given(events)
def test_what_is_told_adds_up_to_who_is_there(history):
    roster = Roster()
    there: dict[str, Part] = {}
    for change in play(roster, history):
        who = change.participant["id"]
        if isinstance(change, Came):
            assert who not in there, "told twice that somebody came"
            there[who] = change.part
        else:
            assert there.pop(who) is change.part
    assert there == roster.parts


@given(events)
def test_an_event_that_comes_twice_changes_nothing(history):
    once, twice = Roster(), Roster()
    changes = play(once, history)
    assert play(twice, [event for event in history for _ in range(2)]) == changes
    assert twice.parts == once.parts


@given(st.lists(people, unique_by=lambda p: p["id"]), st.lists(ids), st.randoms())
def test_any_order_of_joins_and_leaves_gives_the_same_roster(joining, leaving, random):
    """Each one's own events keep their order; those of different people mix freely."""
    histories = [[("joined", p)] + [("left", p)] * (p["id"] in leaving) for p in joining] + [
        [("persona_is", "Anna")],
        [("bot_is", "bot")],
    ]
    straight = [event for history in histories for event in history]
    mixed = []
    waiting = [list(history) for history in histories]
    while waiting:
        history = random.choice(waiting)
        mixed.append(history.pop(0))
        waiting = [history for history in waiting if history]
    one, other = Roster(), Roster()
    play(one, straight)
    play(other, mixed)
    assert one.parts == other.parts


def playing(state, who=REPLICA):
    return {**who, "media": {"microphone": {"state": state}}}


@pytest.mark.parametrize(
    ("replica", "ready"),
    [
        *((playing("playable"), True), (playing("sendable"), True), (playing("receivable"), True)),
        *((playing("off"), False), (playing("loading"), False), (playing("blocked"), False)),
        *((REPLICA, True), ({**REPLICA, "media": {}}, True), ({**REPLICA, "media": 7}, True)),
        ({**REPLICA, "media": {"microphone": {"state": 7}}}, True),
    ],
)
def test_the_replica_is_ready_when_its_microphone_can_be_heard(replica, ready):
    roster = Roster()
    assert not roster.replica_ready
    roster.joined(playing("playable", USER))
    assert not roster.replica_ready
    roster.joined(replica)
    assert roster.replica_ready is ready


def test_the_replica_is_ready_from_when_it_plays_until_it_leaves():
    roster = Roster()
    roster.joined(playing("off"))
    assert not roster.replica_ready
    roster.updated(playing("playable"))
    assert roster.replica_ready
    roster.left(REPLICA)
    assert not roster.replica_ready
    roster.updated(playing("playable"))
    assert not roster.replica_ready


def test_who_proves_to_be_the_replica_is_ready():
    roster = Roster()
    roster.joined(playing("sendable", NAMED))
    assert not roster.replica_ready
    roster.persona_is("Anna")
    assert roster.replica_ready


def in_the_room():
    roster = Roster()
    roster.bot_is("bot")
    return roster


def test_the_replica_and_whoever_was_never_in_the_room_may_be_tavus():
    roster = in_the_room()
    roster.joined(REPLICA)
    roster.joined(USER)
    assert roster.may_be_tavus("r")
    assert roster.may_be_tavus("the server")
    assert not roster.may_be_tavus("u")


def test_a_client_that_has_left_is_not_tavus_either():
    roster = in_the_room()
    roster.joined(USER)
    roster.left(USER)
    assert not roster.may_be_tavus("u")
    roster.joined(OTHER)
    roster.closed()
    assert not roster.may_be_tavus("v")


def test_a_replica_that_has_left_and_one_taken_for_a_client_first_may_be():
    roster = in_the_room()
    roster.joined({"id": "r"})
    roster.updated(REPLICA)
    assert roster.may_be_tavus("r")
    roster.left(REPLICA)
    assert roster.may_be_tavus("r")


def test_as_long_as_the_bot_is_not_in_the_room_only_the_replica_may_be_tavus():
    roster = Roster()
    assert not roster.may_be_tavus("somebody")
    roster.joined(REPLICA)
    assert roster.may_be_tavus("r")


def test_what_is_remembered_of_those_who_left_is_bounded():
    roster = in_the_room()
    for number in range(5000):
        roster.joined({"id": str(number)})
        roster.left({"id": str(number)})
    assert not roster.may_be_tavus("4999")
    assert len(roster._former_clients) < 5000


@pytest.mark.parametrize(
    ("media", "source", "state"),
    [
        ({"camera": {"state": "off"}}, "camera", "off"),
        ({"screenVideo": {"state": "playable"}}, "screenVideo", "playable"),
        ({"customVideo": {"whiteboard": {"state": "blocked"}}}, "whiteboard", "blocked"),
        ({"camera": {"state": "off"}}, "screenVideo", ""),
        ({"camera": None, "customVideo": None}, "whiteboard", ""),
        ({"camera": "off"}, "camera", ""),
        (None, "camera", ""),
    ],
)
def test_what_a_video_track_does_is_told_as_far_as_daily_tells(media, source, state):
    assert video_state({"id": "u", "media": media}, source) == state


def test_a_custom_video_track_is_subscribed_to_by_its_name():
    assert media_of("screenVideo", "subscribed") == {"screenVideo": "subscribed"}
    assert media_of("board", "subscribed") == {"customVideo": {"board": "subscribed"}}
    assert audio_media_of("screenAudio", "subscribed") == {"screenAudio": "subscribed"}
    assert audio_media_of("stream", "subscribed") == {"customAudio": {"stream": "subscribed"}}
