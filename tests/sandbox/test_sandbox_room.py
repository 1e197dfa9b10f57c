#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A bot in a room, through the real room client."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from bots import until
from pipecat.transports.daily.transport import DailyParams
from sandbox.bot_kit import RATE, Listener, audio, bot_for, joined, noise, sandbox_and_api, setup

from pipecat_tavus.errors import TavusRoomError, TavusRoomJoinError, TavusRoomSendError
from pipecat_tavus.room.seam import RoomClient, RoomConfig
from pipecat_tavus.sandbox import ReplicaSettings, room_socket, wire
from pipecat_tavus.sandbox.room_client import SandboxRoom

pytestmark = pytest.mark.in_real_time

NOBODY = ReplicaSettings(join_delay=3600)


async def test_a_bot_is_told_who_is_there_and_who_comes_and_goes():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        early = await sandbox.join_person(made["conversation_id"], "Early")
        async with joined(made["conversation_url"]) as bot:
            participants = bot.listener.told[0][1]["participants"]
            assert participants["local"]["info"]["userName"] == "Bot"
            assert participants["local"]["info"]["isLocal"]
            assert participants[early.id]["info"]["userName"] == "Early"
            late = await sandbox.join_person(made["conversation_id"], "Late")
            await late.leave()
            await until(lambda: "participant_left" in bot.listener.whats())
            assert bot.listener.whats() == [
                "joined",
                "participant_joined",
                "participant_joined",
                "participant_left",
            ]
            assert bot.listener.names("participant_joined") == ["Early", "Late"]
            room = sandbox.room(made["conversation_id"])
            assert set(room.participants) == {early.id, bot.id}
        await until(lambda: set(room.participants) == {early.id})
        assert [(e.what, e.kind) for e in room.events] == [
            ("joined", "person"),
            ("joined", "bot"),
            ("joined", "person"),
            ("left", "person"),
            ("left", "bot"),
        ]


async def test_nothing_is_told_before_on_joined_has_returned():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        await sandbox.join_person(made["conversation_id"])
        bot = bot_for(made["conversation_url"])
        told_meanwhile = []

        async def linger(what):
            if what == "joined":
                await asyncio.sleep(0.2)
                told_meanwhile.extend(bot.listener.whats())

        bot.listener.on_event = linger
        await bot.room.setup(setup())
        await bot.room.join()
        assert told_meanwhile == ["joined"]
        await until(lambda: "participant_joined" in bot.listener.whats())
        await bot.room.leave()


async def test_a_listener_may_ask_the_room_for_something_within_an_event():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        bot = bot_for(made["conversation_url"])

        async def ask(what):
            if what in ("joined", "participant_joined"):
                await bot.room.update_subscriptions({"x": {"media": {"microphone": "staged"}}})

        bot.listener.on_event = ask
        await bot.room.setup(setup())
        await bot.room.join()
        await sandbox.join_person(made["conversation_id"])
        await until(lambda: "participant_joined" in bot.listener.whats())
        await bot.room.leave()
        subscriptions = sandbox.room(made["conversation_id"]).subscriptions[bot.id]
        assert subscriptions["x"] == {"media": {"microphone": "staged"}}


@pytest.mark.parametrize("message", ["hi", None, 5, ["a"], {"label": "rtvi-ai", "x": {"y": 1.5}}])
async def test_any_json_value_is_an_app_message_to_everybody_but_the_sender(message):
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        url = made["conversation_url"]
        async with joined(url) as first, joined(url) as second:
            await first.send(message)
            await until(lambda: second.listener.messages)
            assert second.listener.messages == [(message, first.id)]
            assert first.listener.messages == []
            kept = sandbox.room(made["conversation_id"]).messages
            assert [(m.sender_id, m.to, m.message) for m in kept] == [(first.id, None, message)]


async def test_a_message_to_one_participant_reaches_nobody_else():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        url = made["conversation_url"]
        async with joined(url) as first, joined(url) as second, joined(url) as third:
            await first.send("psst", to=second.id)
            await first.send("all")
            await until(lambda: third.listener.messages and len(second.listener.messages) == 2)
            assert [m for m, _ in second.listener.messages] == ["psst", "all"]
            assert [m for m, _ in third.listener.messages] == ["all"]
            with pytest.raises(TavusRoomSendError, match="no participant"):
                await first.send("psst", to="nobody")
            person = await sandbox.join_person(made["conversation_id"])
            await person.send_message({"a": 1}, to=first.id)
            await until(lambda: first.listener.messages)
            assert first.listener.messages == [({"a": 1}, person.id)]


async def test_what_cannot_be_sent_is_refused_with_the_reason():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            with pytest.raises(TavusRoomSendError, match="not JSON"):
                await bot.send(object())
            with pytest.raises(TavusRoomSendError, match="bytes"):
                await bot.send("x" * wire.MAX_APP_MESSAGE)
            sandbox.fail("SEND", body="Daily says no")
            with pytest.raises(TavusRoomSendError, match="Daily says no"):
                await bot.send("x")
            sandbox.fail("SEND", delay=0.2)
            await bot.send("late")
            assert [m.message for m in sandbox.room(made["conversation_id"]).messages] == ["late"]
        with pytest.raises(TavusRoomSendError, match="not in the room"):
            await bot.send("x")


async def test_a_room_that_does_not_answer_a_request_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(room_socket, "_REQUEST_SECS", 1.5)
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            sandbox.fail("SEND", hang=True)
            with pytest.raises(TavusRoomSendError, match="no answer within"):
                async with asyncio.timeout(20):
                    await bot.send("x")
            await bot.send("y")


async def failing_join(url, **options):
    bot = bot_for(url, **options)
    await bot.room.setup(setup())
    tasks = asyncio.all_tasks()
    with pytest.raises(TavusRoomJoinError) as caught:
        await bot.room.join()
    assert bot.listener.told == []
    assert not {task for task in asyncio.all_tasks() - tasks if "SandboxRoom" in task.get_name()}
    await bot.room.leave()
    await bot.room.cleanup()
    return str(caught.value)


async def test_a_join_that_fails_says_why():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        url = made["conversation_url"]
        assert "does not exist" in await failing_join(url + "x")
        assert "404" in await failing_join(url.replace("/rooms/", "/nowhere/"))
        assert "could not be joined" in await failing_join("http://127.0.0.1:9/rooms/c")
        sandbox.fail("JOIN", body="the room's own words")
        assert "the room's own words" in await failing_join(url)
        sandbox.fail("JOIN", hang=True)
        assert "no answer within 0.3 s" in await failing_join(url, join_timeout=0.3)
        sandbox.fail("JOIN", reset=True)
        assert "could not be joined" in await failing_join(url)
        sandbox.end(made["conversation_id"], "over")
        assert "ended" in await failing_join(url)
        assert all(e.kind != "bot" for e in sandbox.room(made["conversation_id"]).events)


async def test_a_join_that_is_slow_but_in_time_works():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        sandbox.fail("JOIN", delay=0.2)
        async with joined(made["conversation_url"]) as bot:
            assert bot.listener.whats() == ["joined"]


async def test_a_bot_joins_only_after_setup_and_joining_twice_is_joining_once():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        bot = bot_for(made["conversation_url"])
        with pytest.raises(TavusRoomJoinError, match="setup"):
            await bot.room.join()
        await bot.room.setup(setup())
        await bot.room.join()
        await bot.room.join()
        assert bot.listener.whats() == ["joined"]
        assert len(sandbox.room(made["conversation_id"]).participants) == 1
        await bot.room.leave()
        await bot.room.leave()
        await bot.room.cleanup()
        await bot.room.cleanup()


async def test_a_join_that_is_cancelled_leaves_nothing():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        bot = bot_for(made["conversation_url"])
        await bot.room.setup(setup())

        async def linger(what):
            await asyncio.sleep(3600)

        bot.listener.on_event = linger
        joining = asyncio.create_task(bot.room.join())
        await until(lambda: bot.listener.whats() == ["joined"])
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        await until(lambda: not sandbox.room(made["conversation_id"]).participants)


async def test_a_private_room_wants_its_token():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create(require_auth=True)
        url, token = made["conversation_url"], made["meeting_token"]
        assert "no token" in await failing_join(url)
        words = await failing_join(url, token="wrong-token")
        assert "wrong token" in words and "wrong-token" not in words
        async with joined(url, token=token), joined(f"{url}?t={token}"):
            pass


async def test_a_token_expires():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create(require_auth=True, properties={"participant_absent_timeout": 1})
        await sandbox.join_person(made["conversation_id"])
        await asyncio.sleep(1.1)
        words = await failing_join(made["conversation_url"], token=made["meeting_token"])
        assert "expired" in words


async def test_a_full_room_lets_nobody_in_but_the_replica():
    async with sandbox_and_api(replica=ReplicaSettings(join_delay=0.5)) as (_, api):
        made = await api.create(max_participants=2)
        async with joined(made["conversation_url"]) as bot:
            assert "full" in await failing_join(made["conversation_url"])
            await until(lambda: "Pipecat Stream" in bot.listener.names("participant_joined"))


async def test_the_rates_are_those_of_the_params_or_else_of_the_pipeline():
    room = bot_for("http://127.0.0.1/rooms/c").room
    assert (room.in_sample_rate, room.out_sample_rate) == (0, 0)
    await room.setup(setup())
    assert (room.in_sample_rate, room.out_sample_rate) == (16000, RATE)
    room = bot_for("http://x/", audio_in_sample_rate=8000, audio_out_sample_rate=48000).room
    await room.setup(setup())
    assert (room.in_sample_rate, room.out_sample_rate) == (8000, 48000)


async def test_a_room_that_closes_is_told_once_and_after_what_came_before():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await person.send_message("last words")
            sandbox.close_room(made["conversation_id"], "the room's reason")
            await until(lambda: "room_closed" in bot.listener.whats())
            assert bot.listener.whats()[-2:] == ["app_message", "room_closed"]
            assert bot.listener.told[-1][1] == "the room's reason"
            with pytest.raises(TavusRoomSendError):
                await bot.send("x")
            assert not await bot.room.write_audio_frame(audio(bytes(960)))
            await bot.room.leave()
        assert bot.listener.whats().count("room_closed") == 1
        conversation = sandbox.conversations[made["conversation_id"]]
        assert (conversation.status, conversation.shutdown_reason) == ("ended", "the room's reason")


async def test_a_lost_connection_is_a_closed_room():
    sandboxes = sandbox_and_api(replica=NOBODY)
    sandbox, api = await sandboxes.__aenter__()
    made = await api.create()
    async with joined(made["conversation_url"]) as bot:
        sandbox.fail("SEND", reset=True)
        with pytest.raises(TavusRoomSendError):
            await bot.send("x")
        await until(lambda: "room_closed" in bot.listener.whats())
        assert bot.listener.told[-1][1] == "connection lost"
        await until(lambda: not sandbox.room(made["conversation_id"]).participants)
        await sandboxes.__aexit__(None, None, None)


async def test_a_room_that_the_bot_leaves_is_not_told_as_closed():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.room.leave()
            sandbox.close_room(made["conversation_id"])
            await asyncio.sleep(0.2)
        assert bot.listener.whats() == ["joined"]


async def test_a_listener_may_leave_within_an_event():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:

            async def leave(what):
                await bot.room.leave()

            bot.listener.on_event = leave
            await sandbox.join_person(made["conversation_id"])
            await until(lambda: len(sandbox.room(made["conversation_id"]).participants) == 1)
            await until(
                lambda: not [t for t in asyncio.all_tasks() if "SandboxRoom" in t.get_name()]
            )


async def test_a_published_track_is_seen_in_the_participants_media():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        url = made["conversation_url"]
        async with joined(url) as bot, joined(url) as other:
            await bot.room.register_audio_destination("stream")
            await bot.room.register_audio_destination("stream")
            await until(lambda: "participant_updated" in other.listener.whats())
            media = other.listener.told[-1][1]["media"]
            assert media["customAudio"]["stream"]["state"] == "playable"
            room = sandbox.room(made["conversation_id"])
            assert "stream" in room.participants[bot.id]["media"]["customAudio"]
            assert other.listener.whats().count("participant_updated") == 1


async def test_audio_for_a_destination_that_is_not_registered_is_not_taken():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            assert not await bot.room.write_audio_frame(audio(bytes(960)))
            assert not await bot.room.write_audio_frame(audio(bytes(960), None))
            await bot.room.register_audio_destination("stream")
            assert await bot.room.write_audio_frame(audio(bytes(960)))
            assert not await bot.room.write_audio_frame(audio(b""))
            assert not await bot.room.write_audio_frame(audio(bytes(960), "other"))
        with pytest.raises(TavusRoomSendError):
            await bot.room.register_audio_destination("stream")


async def test_audio_goes_from_bot_to_bot_bit_for_bit_on_any_track():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create()
        url = made["conversation_url"]
        async with joined(url, microphone_out_enabled=True) as bot, joined(url) as other:
            pcm = noise(0.5)
            await other.hear(bot.id, audio_source="extra", sample_rate=RATE)
            await bot.room.register_audio_destination("extra")
            assert await bot.speak(pcm, destination="extra")
            await until(lambda: bytes(other.heard) == pcm)
            await other.hear(bot.id, sample_rate=RATE)
            assert await bot.speak(pcm, destination=None)
            await until(lambda: bytes(other.heard) == pcm + pcm)


async def test_writes_at_once_are_played_one_after_the_other_in_real_time():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.room.register_audio_destination("stream")
            began, done = time.monotonic(), []

            async def write():
                await bot.room.write_audio_frame(audio(bytes(RATE // 50 * 2)))
                done.append(time.monotonic() - began)

            await asyncio.gather(*(write() for _ in range(20)))
            for n, at in enumerate(done, 1):
                assert at >= 0.02 * n - 0.005
            assert done[-1] < 2.0


async def test_somebody_who_writes_without_a_pause_writes_in_real_time():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.room.register_audio_destination("stream")
            began = time.monotonic()
            await bot.speak(noise(1.5), chunk_ms=20)
            assert 1.5 - 0.01 <= time.monotonic() - began < 2.5


@asynccontextmanager
async def writing_for_long(pcm):
    """A bot, another who hears it, and the bot's write, of which some was heard."""
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create()
        url = made["conversation_url"]
        async with joined(url) as bot, joined(url) as other:
            await other.hear(bot.id, audio_source="stream", sample_rate=RATE)
            await bot.room.register_audio_destination("stream")
            writing = asyncio.create_task(bot.room.write_audio_frame(audio(pcm)))
            await until(lambda: len(other.heard) > RATE // 2)
            yield bot, other, writing


async def test_a_cancelled_write_has_not_delivered_what_it_had_not_begun_to_play():
    before, after = noise(30.0), noise(0.2, seed=2)
    async with writing_for_long(before) as (bot, other, writing):
        began = time.monotonic()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await asyncio.sleep(0.2)
        heard = len(other.heard)
        await bot.room.write_audio_frame(audio(after))
        await until(lambda: bytes(other.heard).endswith(after))
        assert bytes(other.heard) == before[:heard] + after
        assert time.monotonic() - began < 5


async def test_what_is_dropped_is_not_delivered_and_counts_as_not_taken():
    before, after = noise(30.0), noise(0.2, seed=2)
    async with writing_for_long(before) as (bot, other, writing):
        bot.room.drop_audio("other")
        bot.room.drop_audio("stream")
        assert not await asyncio.wait_for(writing, 5)
        assert await bot.room.write_audio_frame(audio(after))
        await until(lambda: bytes(other.heard).endswith(after))
        assert bytes(other.heard) == before[: len(other.heard) - len(after)] + after


async def test_an_audio_callback_that_fails_gets_the_next_audio_all_the_same():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            calls = []

            async def fail(*args):
                calls.append(args)
                raise RuntimeError("mine")

            await bot.room.capture_participant_audio(person.id, fail)
            await until(lambda: len(calls) > 3)
            assert calls[0][0] == person.id
            assert calls[0][2] == "microphone"


async def test_a_bot_that_leaves_does_not_wait_for_answers():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            sandbox.fail("SEND", hang=True)
            sending = asyncio.create_task(bot.send("x"))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await bot.room.leave()
            with pytest.raises(TavusRoomSendError):
                await sending
            assert time.monotonic() - began < 3


@asynccontextmanager
async def strange_room(*frames):
    """A room that lets a bot in and then says these frames; gives its URL."""

    async def handle(request):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.receive()
        local = {"id": "me", "info": {"userName": "Bot"}}
        await ws.send_json({"type": "joined", "data": {"participants": {"local": local}}})
        for frame in frames:
            await (ws.send_str(frame) if isinstance(frame, str) else ws.send_bytes(frame))
        await ws.receive()
        return ws

    app = web.Application()
    app.router.add_get("/rooms/c", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/rooms/c"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("frame", ["nonsense", b"123", '{"type": "ack"}', '{"type": "closed"}'])
async def test_a_room_that_speaks_no_protocol_counts_as_closed(frame):
    async with strange_room(frame) as url, joined(url) as bot:
        await until(lambda: "room_closed" in bot.listener.whats())
        assert "protocol" in bot.listener.told[-1][1]


async def test_what_a_newer_room_tells_is_passed_over():
    message = '{"type": "app_message", "message": 1, "sender": "x"}'
    unheard = wire.pack_audio(9, 16000, b"12")
    ack = '{"type": "ack", "id": 99, "error": null}'
    async with strange_room('{"type": "new"}', unheard, ack, message) as url, joined(url) as bot:
        await until(lambda: bot.listener.messages == [(1, "x")])
        assert bot.listener.whats() == ["joined", "app_message"]


async def test_stereo_audio_is_mixed_into_the_one_channel_of_the_room():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create()
        url = made["conversation_url"]
        async with joined(url, audio_out_channels=2) as bot, joined(url) as other:
            await other.hear(bot.id, audio_source="stream", sample_rate=RATE)
            await bot.room.register_audio_destination("stream")
            await bot.room.write_audio_frame(audio(b"\1\0\3\0" * 960))
            await until(lambda: bytes(other.heard) == b"\2\0" * 960)


async def test_wrong_subscriptions_are_refused():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            with pytest.raises(TavusRoomError, match="subscribed"):
                await bot.room.update_subscriptions({"x": {"media": {"microphone": "off"}}})


def test_it_is_a_room_client():
    config = RoomConfig("http://x/", None, "Bot", DailyParams(), Listener())
    room: RoomClient = SandboxRoom(config)
    assert room.in_sample_rate == 0
