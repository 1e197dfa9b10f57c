#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""``python -m pipecat_tavus.sandbox``: a Tavus on this machine, for bots that run unchanged."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import get_args

from loguru import logger
from PIL import Image

from pipecat_tavus.errors import TavusRoomError
from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.conversation import SandboxConversation
from pipecat_tavus.sandbox.person import Note, SandboxPerson
from pipecat_tavus.sandbox.picture import MAX_HEIGHT, MAX_WIDTH, Picture
from pipecat_tavus.sandbox.replica_settings import EventForm, ReplicaSettings, RoleName
from pipecat_tavus.sandbox.server import TavusSandbox

_GREETING_SECS = 10.0
_ANSWER_SECS = 30.0
_PAUSE_SECS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox until it is interrupted.

    Args:
        arguments: The command line, by default that of the process.

    Returns:
        The exit status.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.camera and not options.person:
        parser.error("--camera is that of the --person, and there is none")
    path = camera = options.camera
    try:
        if path:
            camera = _read_image(path)
        for path in options.person:
            pcm16.read_wav(path.read_bytes())
    except (OSError, ValueError) as e:
        print(f"{path}: {e}", file=sys.stderr)
        return 2
    logger.remove()
    logger.add(sys.stderr, level="DEBUG" if options.verbose else "WARNING")
    try:
        asyncio.run(_serve(options, camera))
    except OSError as e:
        print(f"cannot listen on {options.host} port {options.port}: {e}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipecat_tavus.sandbox",
        description="A Tavus on this machine: REST API, rooms and a simulated replica.",
        epilog="A bot uses it where TAVUS_API_URL and TAVUS_API_KEY say so; the sandbox prints "
        "both when it runs. It keeps nothing when it ends.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8642, help="port (%(default)s)")
    parser.add_argument("--api-key", default="sandbox", help="the key to accept (%(default)s)")
    parser.add_argument(
        "--max-concurrent", type=int, default=3, help="active conversations at once (%(default)s)"
    )
    parser.add_argument(
        "--join-delay",
        type=float,
        default=1.0,
        help="seconds until the replica is there, inf for one that never comes (%(default)s)",
    )
    parser.add_argument(
        "--rendering-delay", type=float, default=0.2, help="seconds that the replica lags behind"
    )
    parser.add_argument(
        "--playable-delay",
        type=float,
        default=0.0,
        help="seconds from the replica's joining until it can be heard (%(default)s)",
    )
    parser.add_argument(
        "--events",
        choices=get_args(EventForm),
        default="old",
        help="form of the speaking events: conversation.replica.started_speaking or "
        "conversation.started_speaking with a role (%(default)s)",
    )
    parser.add_argument(
        "--role-name",
        choices=get_args(RoleName),
        default="replica",
        help="the replica's role in events (%(default)s)",
    )
    parser.add_argument(
        "--disorder", action="store_true", help="send each event twice, neighbours swapped"
    )
    parser.add_argument(
        "--transcript",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="what the replica tells that it says, one text for each utterance",
    )
    parser.add_argument(
        "--word-secs", type=float, default=0.3, help="seconds that a word takes (%(default)s)"
    )
    parser.add_argument(
        "--person",
        nargs="+",
        type=Path,
        default=[],
        metavar="WAV",
        help="let a scripted person join each conversation and say these, each when the replica "
        "has fallen silent",
    )
    parser.add_argument(
        "--camera", type=Path, metavar="IMAGE", help="what the scripted person's camera shows"
    )
    parser.add_argument("--verbose", action="store_true", help="log what happens")
    return parser


def _read_image(path: Path) -> Picture:
    """Read a picture file, made smaller where it is too large to be shown."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    image.thumbnail((MAX_WIDTH, MAX_HEIGHT))
    return Picture(image.tobytes(), *image.size)


async def _serve(options: argparse.Namespace, camera: Picture | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)

    async def on_conversation(conversation: SandboxConversation) -> None:
        print(f"{conversation.id}: created ({conversation.persona_name})", flush=True)
        try:
            if options.person and not conversation.test_mode:
                person = await sandbox.join_person(conversation.id, camera=camera)
                await _converse(person, options.person)
        except (TavusRoomError, TimeoutError) as e:
            print(f"{conversation.id}: the person gave up: {e or 'no answer'}", flush=True)
        await sandbox.room(conversation.id).closed()
        print(f"{conversation.id}: ended ({conversation.shutdown_reason})", flush=True)

    sandbox = TavusSandbox(
        host=options.host,
        port=options.port,
        api_key=options.api_key,
        max_concurrent=options.max_concurrent,
        replica=ReplicaSettings(
            join_delay=options.join_delay,
            rendering_delay=options.rendering_delay,
            playable_delay=options.playable_delay,
            events=options.events,
            role_name=options.role_name,
            disorder=options.disorder,
            transcript=options.transcript,
            word_secs=options.word_secs,
        ),
        on_conversation=on_conversation,
    )
    async with sandbox:
        print(
            "The Tavus sandbox runs. Let your bot use it:\n\n"
            f"    export TAVUS_API_URL={sandbox.api_url}\n"
            f"    export TAVUS_API_KEY={sandbox.api_key}\n"
            "    export TAVUS_REPLICA_ID=r-sandbox\n\n"
            "Ctrl-C ends it.",
            flush=True,
        )
        await stopped.wait()


async def _converse(person: SandboxPerson, recordings: list[Path]) -> None:
    """Say the recordings, each when the replica has answered and fallen silent."""

    def tell(note: Note) -> None:
        what = note.what.replace("_", " ") + (f": {note.text}" if note.text else "")
        print(f"  {note.at:7.2f} s  {note.who:8} {what}", flush=True)

    person.on_note = tell
    try:
        # Some bots greet, others wait to be spoken to.
        await person.wait_until_replica_speaks(_GREETING_SECS)
    except TimeoutError:
        pass
    for recording in recordings:
        await person.wait_until_replica_is_silent(_PAUSE_SECS, _ANSWER_SECS)
        await person.say(recording)
        await person.wait_until_replica_speaks(_ANSWER_SECS)
    await person.wait_until_replica_is_silent(_PAUSE_SECS, _ANSWER_SECS)
    await person.leave()


if __name__ == "__main__":
    sys.exit(main())
