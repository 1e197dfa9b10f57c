#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The video service on Daily: what is captured of the replica, and nothing of others."""

from bots import until
from calls import Call, noise, tone
from pipecat.frames.frames import OutputImageRawFrame, SpeechOutputAudioRawFrame

from pipecat_tavus import TavusRoomError


async def test_the_replicas_sound_and_picture_come_back_and_the_clients_do_not(
    call: Call,
) -> None:
    await call.build_service().start()
    client, replica = call.room.enter("User"), call.room.enter_replica()
    await until(lambda: call.room.subscription(replica).get("camera") == "subscribed")
    assert call.room.subscription(replica).get("microphone") != "unsubscribed"
    assert "camera" not in call.room.subscription(client)
    spoken = noise(0.3)
    await call.say(spoken)
    await until(lambda: len(call.room.stream.pcm) >= len(spoken))
    assert call.room.stream.pcm.rstrip(b"\0") == spoken.rstrip(b"\0")

    voice = tone(0.3, 24000)
    client.start_saying(noise(0.3), 24000)
    replica.show()
    await replica.say(voice, 24000)
    await until(lambda: heard(call).startswith(voice))
    assert len(call.heard.of(OutputImageRawFrame)) == 1
    await call.end()
    assert list(call.tavus.ended) == call.tavus.created


def heard(call: Call) -> bytes:
    return b"".join(it.audio for it in call.heard.of(SpeechOutputAudioRawFrame))


async def test_a_replica_that_cannot_be_seen_is_told_and_heard_all_the_same(call: Call) -> None:
    await call.build_service().start()
    call.room.refusals["update_subscriptions"] = "NotValid"
    replica = call.room.enter_replica()
    await until(lambda: bool(call.error_frames))
    assert isinstance(call.error_frames[0].exception, TavusRoomError)
    call.room.refusals.clear()
    voice = tone(0.2, 24000)
    await replica.say(voice, 24000)
    await until(lambda: heard(call).startswith(voice))
    await call.end()
