"""What the room or the application does wrong, at the seam of the room."""

import asyncio

import pytest
from bots import Bot, tone
from pipecat.frames.frames import EndFrame

from pipecat_tavus import (
    TavusCallbacks,
    TavusParams,
    TavusRoomError,
    TavusRoomSendError,
    TavusTransport,
    TavusTransportClient,
)
from pipecat_tavus.sandbox.room_client import SandboxRoom


class RoughRoom(SandboxRoom):
    """The sandbox's room, in which one thing goes wrong."""

    wrong = ""

    async def leave(self):
        await super().leave()
        if self.wrong == "leave":
            raise OSError("the network is gone")

    async def write_audio_frame(self, frame):
        if self.wrong == "write raises":
            raise OSError("the device is gone")
        if self.wrong == "write refuses":
            return False
        return await super().write_audio_frame(frame)

    async def update_subscriptions(self, participant_settings=None, profile_settings=None):
        if self.wrong == "subscriptions":
            raise TavusRoomError("no subscriptions today")
        await super().update_subscriptions(participant_settings, profile_settings)

    async def capture_participant_audio(self, *args, **kwargs):
        if self.wrong == "capture":
            raise TavusRoomError("no audio today")
        await super().capture_participant_audio(*args, **kwargs)

    async def register_audio_destination(self, destination, auto_silence=True):
        if self.wrong == "track":
            raise TavusRoomSendError(f"no track {destination} today")
        await super().register_audio_destination(destination, auto_silence)


def rough(what):
    def factory(config):
        room = RoughRoom(config)
        room.wrong = what
        return room

    params = TavusParams(audio_out_end_silence_secs=0)
    return TavusTransport(bot_name="Ada", params=params, room_factory=factory)


async def test_a_leave_that_breaks_does_not_keep_the_conversation_from_its_end(sandbox):
    transport = rough("leave")
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        await bot.started()
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    told = bot.named("on_error")
    assert told
    assert all("the network is gone" in str(error) for (error,) in told)


@pytest.mark.parametrize(
    ("what", "words"),
    [("write raises", "the device is gone"), ("write refuses", "did not take")],
)
async def test_audio_that_cannot_be_written_is_told_once(sandbox, what, words):
    transport = rough(what)
    async with Bot(transport) as bot:
        await bot.started()
        await bot.say(tone(1, 24000), 24000)
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    [(told,)] = bot.named("on_error")
    assert isinstance(told, TavusRoomSendError)
    assert words in str(told)
    assert len(bot.errors) == 1
    assert bot.written() == b"", "what was not written is not pushed on as spoken"


@pytest.mark.parametrize(
    ("what", "words"),
    [("subscriptions", "no subscriptions today"), ("capture", "no audio today")],
)
async def test_what_the_room_refuses_is_told_and_the_bot_goes_on(sandbox, what, words):
    transport = rough(what)
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        await bot.started()
        await sandbox.join_person(transport.conversation.id)
        await bot.event("on_client_connected")
        await bot.event("on_replica_joined")
        (told,) = await bot.event("on_error")
        assert words in str(told)
        assert not bot.task.done()


async def test_a_track_that_cannot_be_published_ends_it(sandbox):
    transport = rough("track")
    async with Bot(transport) as bot:
        assert await bot.finish() < 5
    [(told,)] = bot.named("on_error")
    assert "no track stream today" in str(told)


class Setup:
    """What a client takes of a processor's setup."""

    audio_in_sample_rate = 16000
    audio_out_sample_rate = 24000

    def __init__(self):
        from pipecat.utils.asyncio.task_manager import TaskManager

        self.task_manager = TaskManager(loop=asyncio.get_running_loop())


async def test_the_client_alone_can_be_built_upon(sandbox):
    """Callbacks are optional, what they do wrong stops nothing, and each step happens once."""
    joined = asyncio.Event()

    async def on_joined(data):
        joined.set()
        raise RuntimeError("an application's own fault")

    client = TavusTransportClient(
        bot_name="Ada",
        callbacks=TavusCallbacks(on_joined=on_joined),
        api_key=sandbox.api_key,
        replica_id="r1",
    )
    assert (client.in_sample_rate, client.out_sample_rate, client.conversation_id) == (0, 0, None)
    with pytest.raises(TavusRoomSendError, match="not in the room yet"):
        await client.send_interrupt_message()
    setup = Setup()
    await asyncio.gather(client.setup(setup), client.setup(setup))
    await asyncio.gather(client.join(), client.join())
    assert joined.is_set()
    assert (client.in_sample_rate, client.out_sample_rate) == (16000, 24000)
    async with asyncio.timeout(20):
        while not client.replica_ready:
            await asyncio.sleep(0.01)
    assert await client.get_persona_name() == await client.get_persona_name()
    assert len([r for r in sandbox.requests if "/personas/" in r.path]) == 1
    await client.stop()
    assert sandbox.conversations[client.conversation_id].status == "active"
    await client.stop()
    assert sandbox.conversations[client.conversation_id].status == "ended"
    assert not client.replica_ready
    await client.cleanup()
    await client.cleanup()
    assert len([r for r in sandbox.requests if r.path.endswith("/end")]) == 1
    with pytest.raises(TavusRoomError, match="not in the room any more"):
        await client.capture_participant_video("p", on_joined)
