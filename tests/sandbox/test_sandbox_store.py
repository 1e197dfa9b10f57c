#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The account: what is accepted, what ends by itself, what is listed."""

import pytest

from pipecat_tavus.sandbox.store import (
    ABSENT_REACHED,
    DURATION_REACHED,
    LEFT_REACHED,
    RefusedCall,
    Store,
)

BASE = "http://127.0.0.1/rooms"


def create(store, now=100.0, **body):
    return store.create({"persona_id": "pipecat-stream", **body}, now=now, room_base=BASE)


def refusal(call, *args, **kwargs):
    with pytest.raises(RefusedCall) as caught:
        call(*args, **kwargs)
    return caught.value.status, caught.value.body


def test_a_conversation_is_active_and_has_a_room_of_its_own():
    store = Store()
    first, second = create(store), create(store)
    assert first.status == "active"
    assert first.url == f"{BASE}/{first.id}"
    assert first.id != second.id
    assert first.persona_name == "Pipecat Stream"
    assert first.token is None


@pytest.mark.parametrize(
    "body",
    [
        {"replica_id": "r1"},
        {"face_id": "f1"},
        {"pal_id": "pipecat0"},
        {"persona_id": "p1", "something_new": {"a": 1}},
        {"persona_id": "p1", "max_participants": 2, "properties": {"max_call_duration": 3600}},
        {"persona_id": "p1", "properties": {"new": 1, "participant_absent_timeout": 0}},
    ],
)
def test_old_and_new_names_and_unknown_fields_are_accepted(body):
    assert Store().create(body, now=0.0, room_base=BASE).body == body


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "persona_id"),
        (None, "object"),
        ([], "object"),
        ({"persona_id": " ", "replica_id": ""}, "required"),
        ({"persona_id": 5}, "string"),
        ({"persona_id": "x-unknown"}, "Invalid persona_id"),
        ({"persona_id": "p1", "properties": []}, "properties"),
        ({"persona_id": "p1", "max_participants": 1}, "max_participants"),
        ({"persona_id": "p1", "max_participants": "3"}, "max_participants"),
        ({"persona_id": "p1", "properties": {"max_call_duration": 3601}}, "max_call_duration"),
        ({"persona_id": "p1", "properties": {"max_call_duration": 0}}, "max_call_duration"),
        ({"persona_id": "p1", "properties": {"max_call_duration": True}}, "max_call_duration"),
        ({"persona_id": "p1", "properties": {"participant_left_timeout": -1}}, "left_timeout"),
    ],
)
def test_what_tavus_refuses_is_refused_and_opens_nothing(body, word):
    store = Store()
    status, answer = refusal(store.create, body, now=0.0, room_base=BASE)
    assert status == 400
    assert word in answer["error"]
    assert not store.conversations


def test_more_active_conversations_than_allowed_are_refused_until_one_ends():
    store = Store(max_concurrent=2)
    first = create(store)
    create(store)
    assert refusal(create, store) == (
        400,
        {"message": "User has reached maximum concurrent conversations"},
    )
    store.end(first.id, "why not", now=101.0)
    assert create(store).status == "active"


def test_test_mode_takes_no_slot_and_has_ended():
    store = Store(max_concurrent=1)
    assert create(store, test_mode=True).status == "ended"
    assert create(store).status == "active"
    assert create(store, test_mode=True).status == "ended"


def test_a_private_room_has_a_token_that_expires():
    conversation = create(Store(), require_auth=True, properties={"participant_absent_timeout": 7})
    assert conversation.token
    assert conversation.token_expires_at() == 107.0


def test_a_conversation_ends_once():
    store = Store()
    id = create(store).id
    ended = store.end(id, "end_conversation_endpoint_hit", now=105.0)
    assert (ended.status, ended.ended_at) == ("ended", 105.0)
    assert ended.shutdown_reason == "end_conversation_endpoint_hit"
    assert refusal(store.end, id, "again", now=106.0) == (400, {"error": "Invalid conversation_id"})
    assert refusal(store.end, "c0", "again", now=106.0)[0] == 404
    assert ended.shutdown_reason == "end_conversation_endpoint_hit"


def test_a_deleted_conversation_is_unknown():
    store = Store()
    id = create(store).id
    store.delete(id)
    assert refusal(store.get, id)[0] == 404
    assert refusal(store.delete, id)[0] == 404


def test_personas_are_the_ready_made_ones_the_given_ones_and_all_that_begin_with_p():
    store = Store(personas={"mine": "Ada", "p2": "Two"})
    assert store.persona("mine").name == "Ada"
    assert store.persona("p2").name == "Two"
    assert store.persona("pipecat0").name == "Pipecat"
    assert store.persona("p3").name == "Persona p3"
    assert store.persona("q") is None


def test_pages_have_the_newest_first():
    store = Store(max_concurrent=99)
    ids = [create(store).id for _ in range(5)][::-1]
    store.end(ids[0], "x", now=1.0)
    assert [c.id for c in store.page(limit=2, page=1, status=None)[0]] == ids[:2]
    assert [c.id for c in store.page(limit=2, page=3, status=None)[0]] == ids[4:]
    found, total = store.page(limit=2, page=1, status="active")
    assert ([c.id for c in found], total) == (ids[1:3], 4)
    assert [c.id for c in store.page(limit=9, page=1, status="ended")[0]] == ids[:1]


def due(store, now):
    return [reason for _, reason in store.due(now)]


def test_nobody_coming_ends_a_conversation():
    store = Store()
    id = create(store, properties={"participant_absent_timeout": 10}).id
    assert store.next_deadline() == 110.0
    assert due(store, 109.9) == []
    assert due(store, 110.0) == [ABSENT_REACHED]
    store.present(id, 1, now=109.0)
    assert due(store, 200.0) == []


def test_everybody_having_left_ends_a_conversation_a_moment_later():
    store = Store(reaction_time=1.0)
    id = create(store, properties={"participant_left_timeout": 5}).id
    store.present(id, 2, now=101.0)
    store.present(id, 1, now=102.0)
    assert due(store, 300.0) == []
    store.present(id, 0, now=103.0)
    store.present(id, 0, now=104.0)
    assert store.next_deadline() == 109.0
    assert due(store, 108.9) == []
    assert due(store, 109.0) == [LEFT_REACHED]
    store.present(id, 1, now=108.0)
    assert due(store, 300.0) == []


def test_a_conversation_lasts_no_longer_than_it_may():
    store = Store()
    short = create(store, properties={"max_call_duration": 60})
    long = create(store)
    for conversation in (short, long):
        store.present(conversation.id, 1, now=101.0)
    assert due(store, 159.9) == []
    assert due(store, 160.0) == [DURATION_REACHED]
    assert store.next_deadline() == 160.0
    store.end(short.id, DURATION_REACHED, now=160.0)
    assert store.next_deadline() == 100.0 + 3600
    store.end(long.id, "x", now=160.0)
    assert store.next_deadline() is None


def test_presence_in_an_unknown_room_is_ignored():
    store = Store()
    store.present("c0", 1, now=1.0)
    assert store.due(1e9) == []
