"""A conversation from its creation to its end, as an application sees it."""

import asyncio
import os
import subprocess
import sys
import wave
from pathlib import Path

import aiohttp
import pytest
from bots import Bot, tone, until
from pipecat.frames.frames import (
    BotConnectedFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ClientConnectedFrame,
    EndFrame,
    InterruptionFrame,
    StartFrame,
    UserAudioRawFrame,
)

from pipecat_tavus import (
    ConversationOptions,
    TavusConfigError,
    TavusError,
    TavusParams,
    TavusRoomError,
    TavusTransport,
)
from pipecat_tavus.sandbox.room_client import SandboxRoom

AUDIO = Path(__file__).parents[2] / "examples" / "audio"


def frames_of(path):
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes()), file.getframerate()


def heard_of(bot):
    return b"".join(frame.audio for frame in bot.heard.of(UserAudioRawFrame))


async def test_a_person_is_heard_bit_for_bit_and_the_replica_is_not(sandbox, transport):
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        person = await sandbox.join_person(transport.conversation.id)
        (participant,) = await bot.event("on_client_connected")
        await bot.event("on_replica_joined")
        await bot.started()
        await bot.say(tone(0.5, 24000), 24000)
        await person.say(AUDIO / "ten_of_clubs.wav")
        said, rate = frames_of(AUDIO / "ten_of_clubs.wav")
        await until(lambda: said in heard_of(bot))
        frames = bot.heard.of(UserAudioRawFrame)
        assert {(f.user_id, f.sample_rate, f.num_channels) for f in frames} == {
            (transport.get_client_id(participant), rate, 1)
        }


async def test_the_bots_speech_reaches_the_persons_ear_bit_for_bit(sandbox, transport):
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        person = await sandbox.join_person(transport.conversation.id)
        await bot.event("on_replica_joined")
        await bot.started()
        speech = tone(1.2, 24000)
        await bot.say(speech, 24000)
        await bot.spoken.first(BotStoppedSpeakingFrame)
        await until(lambda: len(person.heard_pcm()) >= len(speech))
        assert person.heard_pcm().rstrip(b"\0") == speech.rstrip(b"\0")
        assert person.ear_sample_rate == 24000


@pytest.mark.parametrize("stopped", [True, False])
async def test_speech_in_flight_is_heard_to_its_end_then_left_then_ended(
    sandbox, transport, stopped
):
    speech = tone(1.51, 24000)
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        person = await sandbox.join_person(transport.conversation.id)
        await bot.event("on_replica_joined")
        room = sandbox.room(transport.conversation.id)
        bot_id = next(i for i, p in room.participants.items() if p["info"]["userName"] == "Ada")
        await bot.say(speech, 24000, stopped=stopped)
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    assert person.heard_pcm().rstrip(b"\0") == speech.rstrip(b"\0")
    [left_at] = [e.at for e in room.events if (e.what, e.participant_id) == ("left", bot_id)]
    [end] = [r for r in sandbox.requests if r.path.endswith("/end")]
    assert left_at < end.at


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
async def test_speech_at_any_sample_rate_arrives_whole(sandbox, rate):
    import numpy as np

    transport = TavusTransport(bot_name="Ada", params=TavusParams(audio_out_end_silence_secs=0))
    seconds = 0.8
    time_ = np.arange(int(seconds * rate)) / rate
    # A swell at both edges: what is cut off there is missed in the energy.
    swell = 1 + np.cos(2 * np.pi * time_ / seconds)
    speech = (8000 * swell / 2 * np.sin(2 * np.pi * 440 * time_)).astype("<i2").tobytes()
    async with Bot(transport) as bot:
        await bot.started()
        await bot.say(speech, rate)
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    heard = np.frombuffer(bot.written(), "<i2").astype(float)
    assert abs(len(heard) / 24000 - seconds) < 0.041, "only the padding of the last chunk"
    said = np.frombuffer(speech, "<i2").astype(float)
    for part in (slice(None, 0.1), slice(0.7, 0.8)):

        def energy(samples, hz, part=part):
            i, j = (int((s or 0) * hz) for s in (part.start, part.stop))
            return np.sum(samples[i:j] ** 2) / hz

        assert energy(heard, 24000) == pytest.approx(energy(said, rate), rel=0.03)


async def test_an_interruption_stops_the_audio_and_tells_the_replica(sandbox, transport):
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        person = await sandbox.join_person(transport.conversation.id)
        await bot.event("on_replica_joined")
        await bot.started()
        await bot.say(tone(6, 24000), 24000)
        await person.wait_until_replica_speaks(20)
        await asyncio.sleep(0.5)
        began = next(t for t, f in bot.spoken.frames if isinstance(f, BotStartedSpeakingFrame))
        await bot.worker.queue_frame(InterruptionFrame())
        await bot.spoken.first(InterruptionFrame)
        at = next(t for t, f in bot.spoken.frames if isinstance(f, InterruptionFrame))
        await person.wait_until_replica_is_silent(0.3, 10)
        written = len(bot.written()) / 48000
        assert written - (at - began) < 0.2, "handed over beyond real time"
        room = sandbox.room(transport.conversation.id)
        interrupts = [m for _, _, _, m in room.messages if "interrupt" in m.get("event_type", "")]
        assert interrupts == [
            {
                "message_type": "conversation",
                "event_type": "conversation.interrupt",
                "conversation_id": transport.conversation.id,
            }
        ]
        # And it speaks again.
        before = len(person.heard_pcm())
        again = tone(0.4, 24000, seed=2)
        await bot.say(again, 24000)
        await until(lambda: again.rstrip(b"\0") in person.heard_pcm()[before:])


async def test_an_interruption_cuts_a_long_piece_and_what_was_spoken_is_told_true(sandbox):
    """However much goes through Pipecat at a time, 40 ms at a time are handed over."""
    params = TavusParams(audio_out_10ms_chunks=200)
    transport = TavusTransport(bot_name="Ada", params=params)
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        person = await sandbox.join_person(transport.conversation.id)
        await bot.event("on_replica_joined")
        await bot.started()
        speech = tone(4, 24000)
        await bot.say(speech, 24000)
        await person.wait_until_replica_speaks(20)
        await asyncio.sleep(0.3)
        await bot.worker.queue_frame(InterruptionFrame())
        await person.wait_until_replica_is_silent(0.3, 10)
        heard, spoken = person.heard_pcm().rstrip(b"\0"), bot.written()
        assert 0.2 < len(heard) / 48000 < 1.2
        assert speech.startswith(heard)
        # Pipecat up to 1.13 tells nothing of a piece that it was interrupted in.
        assert speech.startswith(spoken)
        assert len(spoken) / 48000 < 1.2


async def test_bot_stopped_speaking_comes_when_the_audio_has_been_played(sandbox, transport):
    async with Bot(transport) as bot:
        await bot.started()
        await bot.say(tone(1.0, 24000), 24000)
        await bot.spoken.first(BotStoppedSpeakingFrame)
        times = {type(f): t for t, f in reversed(bot.spoken.frames)}
        lasted = times[BotStoppedSpeakingFrame] - times[BotStartedSpeakingFrame]
        assert 0.9 < lasted < 2.0


async def test_the_application_has_the_url_as_soon_as_there_is_one(sandbox, transport):
    assert transport.conversation is None
    async with Bot(transport) as bot:
        (conversation,) = await bot.event("on_conversation_created")
        assert conversation is transport.conversation
        assert conversation.url == sandbox.conversations[conversation.id].url
        await bot.event("on_connected")
        order = [name for _, name, _ in bot.events]
        assert order.index("on_conversation_created") < order.index("on_connected")
    assert len(bot.named("on_conversation_created")) == 1


async def test_a_conversation_created_beforehand_is_the_one_that_the_pipeline_joins(
    sandbox, transport
):
    first, second = await asyncio.gather(
        transport.create_conversation(), transport.create_conversation()
    )
    assert first is second is transport.conversation
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        assert transport.conversation is first
        assert (await transport.create_conversation()) is first
    assert len(sandbox.conversations) == 1


async def test_a_transport_that_only_created_a_conversation_ends_it_when_closed(sandbox, transport):
    conversation = await transport.create_conversation()
    await transport.close()
    await transport.close()
    assert sandbox.conversations[conversation.id].status == "ended"
    with pytest.raises(TavusError, match="over"):
        await transport.create_conversation()


async def test_what_one_loop_created_another_ends(sandbox):
    lines = [
        "import asyncio, os",
        "from pipecat_tavus import TavusTransport",
        "transport = TavusTransport('Ada')",
        "asyncio.run(transport.create_conversation())",
        "asyncio.run(transport.close())",
        # Its exit would end it as well.
        "os.kill(os.getpid(), 9)",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    ended = await asyncio.to_thread(
        subprocess.run, command, env=os.environ.copy(), capture_output=True, timeout=60
    )
    assert b"ERROR" not in ended.stderr
    assert [it.status for it in sandbox.conversations.values()] == ["ended"]


async def test_frames_of_connections_come_after_the_start_frame(sandbox, transport):
    conversation = await transport.create_conversation()
    await sandbox.join_person(conversation.id)
    async with Bot(transport) as bot:
        await bot.heard.first(ClientConnectedFrame)
        kinds = [
            type(f)
            for _, f in bot.heard.frames
            if isinstance(f, StartFrame | BotConnectedFrame | ClientConnectedFrame)
        ]
        assert kinds == [StartFrame, BotConnectedFrame, ClientConnectedFrame]


async def test_a_person_who_was_there_first_is_heard(sandbox, transport):
    conversation = await transport.create_conversation()
    person = await sandbox.join_person(conversation.id)
    async with Bot(transport) as bot:
        await bot.event("on_client_connected")
        await bot.started()
        said = tone(0.3, 16000)
        await person.say(said, 16000)
        await until(lambda: said in heard_of(bot))


class DeafRoom(SandboxRoom):
    """It lets nobody be heard."""

    async def capture_participant_audio(self, *args, **kwargs):
        raise TavusRoomError("The room is deaf")


async def test_a_person_who_was_there_first_and_cannot_be_heard_is_told_and_the_bot_starts(sandbox):
    transport = TavusTransport("Ada", room_factory=DeafRoom)
    conversation = await transport.create_conversation()
    await sandbox.join_person(conversation.id)
    async with Bot(transport) as bot:
        await bot.started()
        assert [str(error) for (error,) in bot.named("on_error")] == ["The room is deaf"]


async def test_ten_people_come_and_go_and_the_persona_is_asked_for_once(sandbox, transport):
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        names = [f"Mo {n}" for n in range(10)]
        people = [await sandbox.join_person(transport.conversation.id, name=n) for n in names]
        await bot.event("on_client_connected", count=10)
        for person in people:
            await person.leave()
        await bot.event("on_client_disconnected", count=10)
    for event in ("on_client_connected", "on_client_disconnected"):
        assert [p["info"]["userName"] for (p,) in bot.named(event)] == names
    assert len([r for r in sandbox.requests if "/personas/" in r.path]) == 1


@pytest.mark.parametrize("replica_first", [True, False])
async def test_the_replicas_microphone_is_unsubscribed_whoever_came_first(
    sandbox, transport, replica_first
):
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        if replica_first:
            await bot.event("on_replica_joined")
        await sandbox.join_person(transport.conversation.id)
        await bot.event("on_client_connected")
        (replica,) = await bot.event("on_replica_joined")
        room = sandbox.room(transport.conversation.id)
        await until(lambda: [s for s in room.subscriptions.values() if replica["id"] in s])
        [settings] = [s for s in room.subscriptions.values() if replica["id"] in s]
        assert settings[replica["id"]]["media"]["microphone"] == "unsubscribed"
        assert len(bot.named("on_client_connected")) == 1


async def test_names_are_honoured(sandbox):
    transport = TavusTransport(bot_name="Grace", input_name="ears", output_name="mouth")
    assert (transport.input().name, transport.output().name) == ("ears", "mouth")
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        names = [
            p["info"]["userName"]
            for p in sandbox.room(transport.conversation.id).participants.values()
        ]
        assert "Grace" in names


@pytest.mark.parametrize("use", [("input",), ("output",)])
async def test_one_of_input_and_output_is_enough(sandbox, transport, use):
    async with Bot(transport, use=use) as bot:
        await bot.event("on_connected")
        await bot.started()
        await bot.spoken.first(BotConnectedFrame)
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    assert sandbox.conversations[transport.conversation.id].status == "ended"


async def test_a_session_of_the_application_is_used_and_left_open(sandbox):
    async with aiohttp.ClientSession() as session:
        transport = TavusTransport("Ada", session, sandbox.api_key, "r1")
        async with Bot(transport) as bot:
            await bot.event("on_connected")
        assert not session.closed


async def test_app_messages_reach_the_application(sandbox, transport):
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        person = await sandbox.join_person(transport.conversation.id)
        await bot.event("on_client_connected")
        for message in ({"label": "rtvi-ai"}, "text", ["list"], 7, None):
            await person.send_message(message)
        await bot.event("on_app_message", count=5)
        await until(lambda: {s for _, s in bot.named("on_app_message")} > {person.id})
        await until(lambda: [s for _, s in bot.named("on_app_message")].count(person.id) == 5)
        got = [m for m, s in bot.named("on_app_message") if s == person.id]
        assert got == [{"label": "rtvi-ai"}, "text", ["list"], 7, None]
        kinds = [m["event_type"] for m, s in bot.named("on_app_message") if s != person.id]
        assert "system.replica_joined" in kinds


async def test_what_a_handler_does_wrong_stops_nothing(sandbox, transport):
    async with Bot(transport) as bot:

        async def wrong(*args):
            raise RuntimeError("a handler's own fault")

        for event in ("on_connected", "on_client_connected", "on_replica_joined", "on_app_message"):
            transport.add_event_handler(event, wrong)
        await bot.event("on_connected")
        person = await sandbox.join_person(transport.conversation.id)
        await bot.event("on_client_connected")
        await person.leave()
        await bot.event("on_client_disconnected")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"api_key": ""}, "TAVUS_API_KEY"),
        ({"api_key": "k", "replica_id": "", "persona_id": None}, "TAVUS_REPLICA_ID"),
        (
            {"api_key": "k", "conversation_options": ConversationOptions(max_participants=2)},
            "leaves nobody to talk to",
        ),
    ],
)
def test_a_transport_that_could_not_work_is_refused_at_once(monkeypatch, arguments, words):
    for name in ("TAVUS_API_KEY", "TAVUS_REPLICA_ID", "TAVUS_SAMPLE_ROOM_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TavusConfigError, match=words):
        TavusTransport(bot_name="Ada", **arguments)


async def test_the_development_room_needs_no_account(sandbox, monkeypatch):
    made = TavusTransport(bot_name="Host")
    conversation = await made.create_conversation()
    monkeypatch.setenv("TAVUS_SAMPLE_ROOM_URL", conversation.url)
    monkeypatch.delenv("TAVUS_API_KEY")
    count = len(sandbox.requests)
    transport = TavusTransport(bot_name="Ada")
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        assert transport.conversation.id == "dev-conversation"
        assert transport.conversation.url == conversation.url
    assert len(sandbox.requests) == count
    await made.close()
