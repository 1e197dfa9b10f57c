#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""``python -m pipecat_tavus.sandbox``, in a process of its own."""

import asyncio
import signal
import sys
import wave
from contextlib import asynccontextmanager

import aiohttp
import pytest
from bots import until
from PIL import Image
from sandbox.bot_kit import joined, noise

pytestmark = pytest.mark.in_real_time

COMMAND = (sys.executable, "-W", "ignore", "-m", "pipecat_tavus.sandbox")


@asynccontextmanager
async def running(*arguments):
    """The process, and the values that it says are to be exported."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        exports = {}
        async with asyncio.timeout(40):
            while "TAVUS_REPLICA_ID" not in exports:
                line = (await process.stdout.readline()).decode()
                assert line, (await process.stderr.read()).decode()
                if "export" in line:
                    name, value = line.split()[1].split("=")
                    exports[name] = value
        yield process, exports
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def create(exports):
    async with aiohttp.ClientSession(headers={"x-api-key": exports["TAVUS_API_KEY"]}) as session:
        async with session.post(
            exports["TAVUS_API_URL"] + "/conversations",
            json={"replica_id": exports["TAVUS_REPLICA_ID"]},
        ) as response:
            assert response.status == 200
            return await response.json()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_how_to_use_it_and_ends_cleanly(number):
    async with running("--port", "0", "--join-delay", "0") as (process, exports):
        made = await create(exports)
        async with joined(made["conversation_url"]) as bot:
            process.send_signal(number)
            async with asyncio.timeout(20):
                _, errors = await process.communicate()
            assert process.returncode == 0
            assert "Traceback" not in errors.decode()
        assert bot.listener.whats()[-1] == "room_closed"


async def test_a_scripted_person_speaks_when_the_replica_is_silent(tmp_path):
    path = tmp_path / "hello_there.wav"
    said = noise(0.5, rate=16000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(said)
    image = tmp_path / "blue.png"
    Image.new("RGBA", (1281, 10), (0, 0, 255, 255)).save(image)
    arguments = ("--port", "0", "--join-delay", "0", "--rendering-delay", "0.1")
    arguments += ("--camera", str(image), "--person", str(path), str(path))
    async with running(*arguments) as (process, exports):
        made = await create(exports)
        async with joined(made["conversation_url"]) as bot:

            def person():
                told = bot.listener.told
                return [d["id"] for w, d in told if w[-6:] == "joined" and is_user(d)]

            await bot.hear((await until(person))[0])
            sights = []

            async def see(participant_id, frame, source):
                sights.append((frame.width, frame.height, frame.buffer[:3]))

            await bot.room.capture_participant_video(person()[0], see)
            await bot.room.register_audio_destination("stream")
            await bot.speak(noise(0.4))
            for n in (1, 2):
                await until(lambda n=n: bytes(bot.heard).count(said) == n)
                await bot.speak(noise(0.4))
            await until(lambda: "participant_left" in bot.listener.whats())
            assert set(sights) == {(1280, 10, b"\0\0\xff")}
        process.terminate()
        output = (await process.communicate())[0].decode()
    assert output.count("user     started speaking: hello there") == 2
    assert output.count("replica  started speaking") == 3


def is_user(participant):
    return participant.get("info", {}).get("userName") == "User"


async def test_the_replica_behaves_as_the_options_say():
    options = ("--events", "new", "--role-name", "pal", "--transcript", "one two", "three")
    arguments = ("--port", "0", "--join-delay", "0", "--word-secs", "0.1", "--disorder", *options)
    async with running(*arguments, "--playable-delay", "0.2") as (_, exports):
        made = await create(exports)
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            await bot.room.register_audio_destination("stream")
            await bot.speak(noise(0.4))

            def said():
                told = [m for m, _ in bot.listener.messages]
                return [
                    m["properties"] for m in told if m["event_type"] == "conversation.utterance"
                ]

            await until(lambda: len(said()) == 2)
            assert said() == [{"role": "pal", "speech": "one two"}] * 2
            events = bot.listener.events()
            assert events.count("conversation.started_speaking") == 2
            assert "participant_updated" in bot.listener.whats()


async def run(*arguments):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(40):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_help_names_the_options_and_the_defaults():
    status, output, _ = await run("--help")
    assert status == 0
    for word in ("--port", "8642", "--person", "--max-concurrent", "TAVUS_API_URL"):
        assert word in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--person", "missing.wav"), "missing.wav"),
        (("--person", "missing.wav", "--camera", "missing.png"), "missing.png"),
        (("--camera", "some.png"), "--person"),
    ],
)
async def test_what_the_person_cannot_say_or_show_is_refused_before_it_runs(arguments, words):
    status, _, errors = await run(*arguments)
    assert status == 2
    assert words in errors
