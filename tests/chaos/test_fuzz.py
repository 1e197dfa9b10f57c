"""Whatever anybody sends, and whatever is in a file: no uncaught exception, and no spoof."""

import asyncio
import json
import sqlite3

import pytest
from bots import Bot, tone, until
from chaos.fuzz import EVENT_TYPES, MODELS, SHUTDOWN, Dice, Room, fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import EndFrame

from pipecat_tavus import (
    ShutdownEvent,
    TavusCallbacks,
    TavusError,
    TavusParams,
    TavusTransport,
    UnknownEvent,
    parse_event,
)
from pipecat_tavus.conversation.ledger import Entry, Ledger
from pipecat_tavus.events.inbox import Inbox
from pipecat_tavus.rest.answers import read_answer, read_error
from pipecat_tavus.room.room_events import RoomEvents
from pipecat_tavus.room.roster import Roster
from pipecat_tavus.sandbox import ReplicaSettings, TavusSandbox

KEYS = st.sampled_from(
    [
        *("id", "info", "userId", "userName", "event_type", "properties", "reason", "data"),
        *("message", "seq", "role", "speech", "name", "arguments", "frames", "analysis"),
    ]
) | st.text(max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["system.shutdown", "tavus-replica", "http://[", "\ud800", "x" * 65536])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
MANY = settings(max_examples=150, deadline=None)
IN_A_FILE = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@MANY
@given(st.lists(JSON, max_size=5), st.sampled_from(EVENT_TYPES))
def test_a_message_is_an_event_or_not_whatever_it_is(messages, event_type):
    inbox = Inbox()
    for message in messages:
        for it in (message, {"event_type": event_type, "properties": message, "seq": message}):
            event = parse_event(it)
            if isinstance(it, dict) and isinstance(it.get("event_type"), str):
                assert event.raw is it
                inbox.take(event)
            else:
                assert event is None


def test_a_message_may_be_nested_as_deep_as_it_likes():
    message = SHUTDOWN
    for _ in range(100_000):
        message = [message]
    assert parse_event(message) is None
    event = parse_event({**SHUTDOWN, "properties": message})
    assert isinstance(event, ShutdownEvent)
    assert event.reason == "no reason given"
    assert isinstance(parse_event({"event_type": "x", "seq": message}), UnknownEvent)


@MANY
@given(st.lists(st.tuples(st.sampled_from(["joined", "updated", "left"]), JSON), max_size=8))
def test_the_roster_takes_whatever_the_room_calls_a_participant(steps):
    roster = Roster()
    for what, participant in steps:
        getattr(roster, what)(participant)
    assert len(roster.closed()) <= len(steps)
    assert not roster.parts


@MANY
@given(JSON, st.sampled_from(MODELS))
def test_an_answer_of_any_json_is_the_model_or_a_tavus_error(value, model):
    try:
        assert isinstance(read_answer("GET /x", 200, json.dumps(value), model), model)
    except TavusError as e:
        assert len(str(e)) < 700


@MANY
@given(
    st.text(max_size=200) | JSON.map(json.dumps),
    st.integers(300, 599),
    st.dictionaries(st.sampled_from(["Retry-After", "Location"]), st.text(max_size=20)),
)
def test_a_refusal_of_any_text_is_a_tavus_error(text, status, headers):
    error = read_error("GET /x", status, text, headers)
    assert isinstance(error, TavusError)
    assert error.retry_after is None or error.retry_after >= 0


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"message":' * 100_000])
def test_an_answer_that_is_nested_too_deep_is_a_tavus_error(text):
    for model in MODELS:
        with pytest.raises(TavusError, match="not JSON"):
            read_answer("GET /x", 200, text, model)
    assert isinstance(read_error("GET /x", 500, text, {}), TavusError)


async def test_everything_that_the_long_run_throws_for_a_short_while(caplog):
    counts = await fuzz(4000, 7, lambda number: None)
    assert counts.total() == 4000


async def test_a_client_cannot_end_the_conversation_and_the_replica_can():
    await Room().spoof()
    ended = []
    events = RoomEvents(
        TavusCallbacks(),
        mute=lambda _: asyncio.sleep(0),
        over=lambda: not ended.append(1),
        ends_with_replica=False,
    )
    await events.on_participant_joined({"id": "r", "info": {"userId": "tavus-replica-1"}})
    await events.on_app_message(SHUTDOWN, "r")
    assert ended


def the_ledger(path):
    return Ledger(path, base_url="http://127.0.0.1/v2", fingerprint="f")


@IN_A_FILE
@given(st.binary(max_size=300))
def test_a_ledger_of_random_bytes_costs_no_more_than_itself(tmp_path, content):
    for place in tmp_path.iterdir():
        place.unlink()
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(content)
    ledger = the_ledger(path)
    ledger.entries()
    ledger.intend("a")
    ledger.intend("b")
    ledger.opened("b", "c1")
    assert "b" in [entry.name for entry in ledger.entries()], "it is set aside, and a new one made"
    ledger.strike("b")


@IN_A_FILE
@given(st.integers(0, 12288), st.binary(min_size=1, max_size=200), st.booleans())
def test_a_ledger_that_is_cut_or_overwritten_is_read_or_not_but_never_raises(
    tmp_path, at, garbage, cut
):
    for place in tmp_path.iterdir():
        place.unlink()
    path = tmp_path / "ledger.sqlite3"
    ledger = the_ledger(path)
    for number in range(20):
        ledger.intend(f"n {number}")
    content = path.read_bytes()
    whole = content[:at] if cut else content[:at] + garbage + content[at + len(garbage) :]
    path.write_bytes(whole)
    assert all(isinstance(entry, Entry) for entry in ledger.entries())
    ledger.intend("another")
    ledger.strike("n 1")


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()


@IN_A_FILE
@given(st.lists(st.tuples(*[VALUES] * 6), min_size=1, max_size=5))
def test_a_row_of_wrong_types_does_not_hide_the_others(tmp_path, rows):
    for place in tmp_path.iterdir():
        place.unlink()
    path = tmp_path / "ledger.sqlite3"
    columns = ("conversation_id", "host", "boot", "pid", "started", "written_at")
    db = sqlite3.connect(path)
    with db:
        # As somebody else's version, without a type or a constraint.
        db.execute(f"CREATE TABLE owed (name, base_url, fingerprint, {', '.join(columns)})")
        for number, row in enumerate(rows):
            given = [v.encode("utf-8", "replace") if isinstance(v, str) else v for v in row]
            db.execute(
                f"INSERT INTO owed (name, base_url, fingerprint, {', '.join(columns)})"
                " VALUES (?, 'http://127.0.0.1/v2', 'f', ?, ?, ?, ?, ?, ?)",
                (f"bad {number}", *given),
            )
        db.execute(
            f"INSERT INTO owed (name, base_url, fingerprint, {', '.join(columns)})"
            " VALUES ('good', 'http://127.0.0.1/v2', 'f', 'c1', 'h', 'b', 1, 's', 1.0)"
        )
    db.close()
    entries = the_ledger(path).entries()
    assert [entry for entry in entries if entry.name == "good"]
    for entry in entries:
        assert isinstance(entry.owner.is_gone, bool)


@pytest.mark.timeout(120)
async def test_a_flood_of_messages_does_not_stop_the_bots_voice(monkeypatch, tmp_path):
    """A thousand messages a second, of any kind, while the bot speaks: it is heard whole."""
    monkeypatch.setenv("TAVUS_LEDGER", str(tmp_path / "ledger.sqlite3"))
    monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
    monkeypatch.delenv("TAVUS_SAMPLE_ROOM_URL", raising=False)
    dice, rate = Dice(3), 24000
    speech = tone(3.0, rate)
    async with TavusSandbox(replica=ReplicaSettings(0.05, 0.1)) as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        transport = TavusTransport("Ada", params=TavusParams(audio_out_end_silence_secs=0))
        async with Bot(transport) as bot:
            await bot.event("on_replica_joined")
            await bot.started()
            person = await sandbox.join_person(transport.conversation.id)
            await bot.event("on_client_connected")
            room = sandbox.room(transport.conversation.id)
            await bot.say(speech, rate)
            sent, began = 0, asyncio.get_running_loop().time()
            while (elapsed := asyncio.get_running_loop().time() - began) < 3.0:
                while sent < elapsed * 1000:
                    message = SHUTDOWN if sent % 10 == 0 else flood(dice)
                    room.send(person.id, message)
                    sent += 1
                await asyncio.sleep(0.005)
            # On a busy machine, what comes last comes late.
            await until(lambda: len(person.heard_pcm()) >= len(speech), 40)
            await until(lambda: len(bot.named("on_app_message")) > 2500, 40)
            assert not bot.task.done(), "a client's word ended it"
            assert speech in person.heard_pcm()
            await bot.worker.queue_frame(EndFrame())
            await bot.finish()
        assert not bot.named("on_error")


def flood(dice: Dice):
    while True:
        message = dice.message()
        try:
            text = json.dumps(message, allow_nan=False, ensure_ascii=False)
            text.encode()
        except (ValueError, RecursionError):
            continue
        if len(text) < 4096:
            return message
