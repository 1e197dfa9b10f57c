#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What is seen on Daily: who is subscribed to, who is drawn, and what is refused."""

import asyncio
import time
from typing import Any

import pytest
from bots import until
from calls import Call, noise
from native import Person
from pipecat.frames.frames import UserAudioRawFrame, UserImageRawFrame, UserImageRequestFrame
from pipecat.processors.frame_processor import FrameDirection
from tavus_server import Fault

from pipecat_tavus import TavusRoomError
from pipecat_tavus.room import daily_room
from pipecat_tavus.video_in import HAS_SAMPLERS

pytestmark = pytest.mark.skipif(not HAS_SAMPLERS, reason="Pipecat samples video from 1.13")

CAMERA = {"video_in_enabled": True, "video_in_sources": {"camera": {"framerate": 30}}}
ON_DEMAND = {"video_in_enabled": True}
EVERY_PICTURE = None


def drawn(call: Call, person: Person) -> dict[str, str]:
    """The color format of each source of a person that is captured, by source."""
    renderers = call.room.clients[-1].video_renderers
    return {source: r.color_format for (id, source), r in renderers.items() if id == person.id}


def seen(call: Call, person: Person) -> list[UserImageRawFrame]:
    return [f for f in call.heard.of(UserImageRawFrame) if f.user_id == person.id]


async def shows(call: Call, person: Person, source: str = "camera") -> None:
    """Let a person show something that the bot sees."""
    before = len(seen(call, person))

    def show() -> bool:
        person.show(source=source)
        return len(seen(call, person)) > before

    await until(show)
    # Those that are still on their way.
    await asyncio.sleep(0.05)


async def ask(call: Call, person: Person) -> list[str]:
    """Ask for an image as a function call does, from behind; the errors that it is answered."""
    errors: list[str] = []

    async def answer(result: dict[str, str]) -> None:
        errors.append(result["error"])

    frame = UserImageRequestFrame(user_id=person.id, text="What?", result_callback=answer)
    await call.spoken.queue_frame(frame, FrameDirection.UPSTREAM)
    return errors


async def test_a_client_is_subscribed_and_drawn_and_the_replica_is_not(call: Call) -> None:
    await call.start(params=CAMERA)
    replica, client = call.room.enter_replica(), call.room.enter("User")
    await until(lambda: drawn(call, client) == {"camera": "RGB"})
    assert call.room.subscription(client)["camera"] == "subscribed"
    assert "screenVideo" not in call.room.subscription(client)
    client.show(bytes(range(12)))
    await until(lambda: bool(seen(call, client)))
    frame = seen(call, client)[0]
    assert (frame.image, frame.size, frame.format) == (bytes(range(12)), (2, 2), "RGB")
    assert frame.transport_source == "camera"
    replica.show()
    assert not drawn(call, replica) and "camera" not in call.room.subscription(replica)
    assert set(call.transport.participants()) == {replica.id, client.id}
    await call.end()
    assert not seen(call, replica)


async def test_what_a_handler_captures_itself_goes_before_what_is_listed(call: Call) -> None:
    call.build(params=CAMERA)

    @call.transport.event_handler("on_client_connected")
    async def on_client_connected(transport: Any, client: Any) -> None:
        await transport.capture_participant_video(
            client["id"], color_format="RGBA", on_request_only=True
        )

    await call.start()
    client = call.room.enter("User")
    # By the handler, and as listed, in whichever order.
    await until(lambda: len(call.room.noted("set_video_renderer")) == 2)
    assert drawn(call, client) == {"camera": "RGBA"}
    client.show()
    await asyncio.sleep(0.1)
    assert not seen(call, client)
    assert not await ask(call, client)
    await shows(call, client)
    assert seen(call, client)[0].request
    await call.end()


async def test_a_client_that_proves_to_be_the_replica_is_seen_no_more(call: Call) -> None:
    call.tavus.faults["GET /personas/{id}"] = Fault(delay=0.5)
    await call.start(params=CAMERA)
    replica = call.room.enter("Charlie")
    await until(lambda: drawn(call, replica) != {})
    await shows(call, replica)
    await until(lambda: bool(call.of("on_replica_joined")))
    await until(lambda: call.room.subscription(replica)["camera"] == "unsubscribed")
    count = len(seen(call, replica))
    # Even where Daily goes on drawing it.
    call.room.clients[-1]._subscriptions[replica.id]["camera"] = "subscribed"
    replica.show()
    await asyncio.sleep(0.1)
    assert len(seen(call, replica)) == count
    await call.end()


async def test_the_replicas_face_is_seen_whenever_it_comes(call: Call) -> None:
    await call.start(params=ON_DEMAND)
    await call.transport.capture_replica_video()
    for _ in range(2):
        replica = call.room.enter_replica()
        await until(lambda r=replica: drawn(call, r) == {"camera": "RGB"})
        await shows(call, replica)
        replica.leave()
        await until(lambda: len(call.of("on_replica_left")) == len(call.of("on_replica_joined")))
    replica = call.room.enter_replica()
    await until(lambda: drawn(call, replica) == {"camera": "RGB"})
    await call.transport.capture_replica_video(color_format="BGRA")
    assert drawn(call, replica) == {"camera": "BGRA"}
    await call.end()


async def test_a_request_is_answered_by_a_picture_or_by_why_there_is_none(call: Call) -> None:
    params = {"video_in_enabled": True, "video_in_sources": {"camera": {"on_request_only": True}}}
    await call.start(params=params)
    client = call.room.enter("User")
    await until(lambda: drawn(call, client) != {})
    errors = await ask(call, client)
    await shows(call, client)
    assert seen(call, client)[-1].text == "What?" and not errors
    waiting = await ask(call, client)
    await asyncio.sleep(0.05)
    client.turn("camera", "blocked")
    await until(lambda: len(waiting) == 1 and "stopped sending" in waiting[0])
    off = await ask(call, client)
    await until(lambda: len(off) == 1 and "isn't sending" in off[0])
    # As Daily calls one that nobody here is subscribed to.
    client.turn("camera", "receivable")
    people = call.transport.participants
    await until(lambda: people()[client.id]["media"]["camera"]["state"] == "receivable")
    waiting = await ask(call, client)
    await asyncio.sleep(0.05)
    assert not waiting
    client.leave()
    await until(lambda: len(waiting) == 1 and "no longer" in waiting[0])
    gone = await ask(call, client)
    await until(lambda: len(gone) == 1 and "No camera video" in gone[0])
    await call.end()


async def test_who_asked_for_an_image_and_fails_when_told_why_stops_nothing(call: Call) -> None:
    await call.start(params=CAMERA)
    client = call.room.enter("User")
    await until(lambda: drawn(call, client) != {})

    async def fail(result: Any) -> None:
        raise LookupError("the application's own mistake")

    frame = UserImageRequestFrame(user_id=client.id, result_callback=fail)
    await call.spoken.queue_frame(frame, FrameDirection.UPSTREAM)
    waiting = await ask(call, client)
    await asyncio.sleep(0.1)
    client.leave()
    await until(lambda: len(waiting) == 1)
    await until(lambda: bool(call.of("on_client_disconnected")))
    await call.end()


@pytest.mark.parametrize("how", ["refuses", "hangs"])
async def test_a_capture_that_fails_is_told_and_the_client_is_heard(
    call: Call, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_room, "_CALL_TIMEOUT", 1.5)
    await call.start(params=CAMERA)
    client = call.room.enter("User", media={})
    await until(lambda: drawn(call, client) != {})
    client.leave()
    client = call.room.enter("User")
    await until(lambda: bool([*call.room.heard_by(client)]))
    if how == "refuses":
        call.room.refusals["update_subscriptions"] = "NotValid"
    else:
        call.room.hangs.add("update_subscriptions")
    with pytest.raises(TavusRoomError, match="NotValid" if how == "refuses" else "no answer"):
        await call.transport.capture_participant_video(client.id, video_source="screenVideo")
    assert "screenVideo" not in drawn(call, client)
    errors = await ask(call, client)
    await client.say(noise(0.2, 16000))
    await until(lambda: bool(call.heard.of(UserAudioRawFrame)))
    await shows(call, client)
    assert not errors
    call.room.refusals.clear()
    call.room.hangs.clear()
    await call.end()


async def test_what_the_native_module_cannot_take_never_gets_there(call: Call) -> None:
    """It aborts the process for an id that is none."""
    await call.start(params=ON_DEMAND)
    client = call.room.enter("User")
    await until(lambda: bool(call.of("on_client_connected")))
    for nobody in ("", "nobody", "local"):
        with pytest.raises(TavusRoomError, match="no participant"):
            await call.transport.capture_participant_video(nobody)
    with pytest.raises(TavusRoomError, match="invalid color format"):
        await call.transport.capture_participant_video(client.id, color_format="CMYK")
    errors = await ask(call, client)
    await until(lambda: len(errors) == 1)
    assert not call.room.noted("set_video_renderer")[1:]
    await call.end()


async def test_pictures_do_not_pile_up_while_the_loop_is_busy(call: Call) -> None:
    await call.start(params=ON_DEMAND)
    client = call.room.enter("User")
    await until(lambda: bool(call.of("on_client_connected")))
    await call.transport.capture_participant_video(client.id, framerate=EVERY_PICTURE)
    await shows(call, client)
    await asyncio.sleep(0.1)
    before = len(seen(call, client))
    for _ in range(50):
        client.show()
    time.sleep(0.5)  # noqa: ASYNC251
    await asyncio.sleep(0.2)
    assert 1 <= len(seen(call, client)) - before <= 3
    await shows(call, client)
    await call.end()
