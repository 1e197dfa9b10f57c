#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Audio on a track of Daily's: in pieces, without a gap, and no more than is played."""

import asyncio
import subprocess
import sys
import textwrap
import time

import pytest
from bots import until
from calls import Call, noise
from native import CustomAudioSource, CustomAudioTrack, NativeDaily
from pipecat.frames.frames import OutputAudioRawFrame
from pipecat.transports.daily.transport import DailyAudioTrack

from pipecat_tavus.room.track_writer import TrackWriter

PIECE = 24000 // 25 * 2


def frame(pcm: bytes) -> OutputAudioRawFrame:
    return OutputAudioRawFrame(pcm, 24000, 1)


@pytest.fixture
def source(native: NativeDaily) -> CustomAudioSource:
    return CustomAudioSource(24000, 1)


@pytest.fixture
def writer(source: CustomAudioSource) -> TrackWriter:
    return TrackWriter(DailyAudioTrack(source=source, track=CustomAudioTrack(source)))


def stand_still(secs: float) -> None:
    """Keep the event loop busy."""
    time.sleep(secs)


async def test_pieces_follow_each_other_though_the_event_loop_stands_still(
    source: CustomAudioSource, writer: TrackWriter
) -> None:
    writing = asyncio.create_task(writer.write(frame(noise(0.4))))
    await until(lambda: len(source.writes) == 1)
    stand_still(0.5)
    assert source.pcm == noise(0.4)
    assert {len(write.pcm) for write in source.writes} == {PIECE}
    assert source.played_at < time.monotonic() + 0.1
    assert await writing


async def test_a_write_returns_while_its_last_piece_is_played_so_that_the_next_leaves_no_gap(
    native: NativeDaily, source: CustomAudioSource, writer: TrackWriter
) -> None:
    native.audio_hangs = True
    async with asyncio.timeout(5):
        assert await writer.write(frame(bytes(PIECE)))
    assert writer.is_playing


async def test_no_more_than_a_piece_is_ahead_of_what_is_played(
    source: CustomAudioSource, writer: TrackWriter
) -> None:
    writing = asyncio.create_task(writer.write(frame(noise(5.0))))
    await until(lambda: len(source.writes) == 5)
    for write in source.writes:
        assert write.played_at - write.at <= 0.041
    writer.drop()
    assert not await writing
    written = len(source.writes)
    await asyncio.sleep(0.15)
    # One may have been on its way.
    assert len(source.writes) <= written + 1


@pytest.mark.parametrize("how", ["dropped", "cancelled"])
async def test_what_follows_a_write_that_was_stopped_is_played(
    source: CustomAudioSource, writer: TrackWriter, how: str
) -> None:
    writing = asyncio.create_task(writer.write(frame(noise(5.0))))
    await until(lambda: len(source.writes) == 2)
    writer.drop() if how == "dropped" else writing.cancel()
    await asyncio.wait([writing])
    before = len(source.pcm)
    assert before <= 3 * PIECE
    assert await writer.write(frame(noise(0.2, seed=2)))
    assert source.pcm[before:] == noise(0.2, seed=2)


async def test_writes_at_once_are_played_one_behind_the_other(
    source: CustomAudioSource, writer: TrackWriter
) -> None:
    first, second = noise(0.1, seed=1), noise(0.1, seed=2)
    assert await asyncio.gather(writer.write(frame(first)), writer.write(frame(second))) == [1, 1]
    assert source.pcm == first + second


async def test_nothing_to_play_is_not_taken(writer: TrackWriter) -> None:
    assert not await writer.write(frame(b""))


@pytest.mark.parametrize("how", ["refused", "raised"])
async def test_what_daily_does_not_take_counts_as_not_taken_until_it_does(
    native: NativeDaily,
    source: CustomAudioSource,
    writer: TrackWriter,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    with monkeypatch.context() as broken:
        if how == "refused":
            broken.setattr(native, "audio_refused", True)
        else:
            broken.setattr(source, "write_frames", lambda *_, **__: 1 / 0)
        async with asyncio.timeout(5):
            if how == "refused":
                assert not await writer.write(frame(noise(0.2)))
            else:
                with pytest.raises(ZeroDivisionError):
                    await writer.write(frame(noise(0.2)))
    assert await writer.write(frame(noise(0.2)))
    assert source.pcm == noise(0.2)


async def test_what_is_being_played_is_heard_before_the_bot_leaves(call: Call) -> None:
    await call.start()
    room = call.transport._client._life.room
    audio = frame(noise(0.08))
    audio.transport_destination = "stream"
    assert await call.transport._client.write_audio_frame(audio)
    await room.leave()
    (leave,) = call.room.noted("leave")
    assert call.room.stream.played_at <= leave.at
    await call.end()


REAL = """
    import asyncio, time
    from daily import CustomAudioSource, CustomAudioTrack, Daily
    from pipecat.frames.frames import OutputAudioRawFrame
    from pipecat.transports.daily.transport import DailyAudioTrack
    from pipecat_tavus.room.track_writer import TrackWriter

    async def main():
        Daily.init()
        source = CustomAudioSource(24000, 1)
        writer = TrackWriter(DailyAudioTrack(source=source, track=CustomAudioTrack(source)))
        begun = time.monotonic()
        taken = [await writer.write(OutputAudioRawFrame(bytes(3840), 24000, 1)) for _ in range(10)]
        print(all(taken), time.monotonic() - begun)

    asyncio.run(main())
"""


async def test_the_real_module_takes_a_write_from_within_the_completion_of_another() -> None:
    command = [sys.executable, "-c", textwrap.dedent(REAL)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=50)
    taken, secs = done.stdout.split()
    assert taken == b"True", done.stderr
    # But for the last piece, in real time.
    assert 0.7 < float(secs) < 1.2
