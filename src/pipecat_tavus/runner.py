#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Bots under Pipecat's development runner, and on Pipecat Cloud: ``bot(runner_args)``.

Who starts a bot has often created its conversation, since the front end waits for the room's
URL. The bot finds it in the ``body`` that it is started with, under :data:`BODY_KEY`.

Import it before the web server runs: from then on SIGTERM ends what is open, also where the
server handles the signal first, as uvicorn does.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from loguru import logger
from pipecat.runner.types import RunnerArguments

from pipecat_tavus.background import in_background
from pipecat_tavus.conversation import farewell
from pipecat_tavus.errors import TavusConfigError, TavusError
from pipecat_tavus.rest.models import Conversation
from pipecat_tavus.transport import TavusTransport

BODY_KEY = "tavus"
"""Where the conversation is in the body that a bot is started with."""

_FOR_CREATING = ("replica_id", "face_id", "conversation_options")

_CLOSE_TIMEOUT = 5.0
"""For how many seconds bots that are cancelled may leave before their rooms are closed."""

Bot = Callable[[RunnerArguments], Awaitable[None]]
"""A bot's entry point."""

farewell.stand_by()


def create_transport(
    runner_args: RunnerArguments, bot_name: str = "Pipecat", **options: Any
) -> TavusTransport:
    """The transport of a bot that a runner has started.

    It joins the conversation that was handed over in ``runner_args.body``, and ends it where
    :func:`handover` said so. Where there is none it creates one.

    The body has the word of your own server: one that a browser can choose must not have the
    key :data:`BODY_KEY`, as its conversation is joined, and perhaps ended.

    Args:
        runner_args: What the bot was started with; those of Pipecat Cloud as well.
        bot_name: The bot's name in the room.
        **options: Further arguments of :class:`~pipecat_tavus.TavusTransport`. Those that are
            for creating a conversation do not count where there is one.

    Returns:
        The transport.

    Raises:
        TavusConfigError: What was handed over is no conversation, or an option is wrong.
    """
    # Not all arguments of Pipecat Cloud's have a body.
    body = getattr(runner_args, "body", None)
    given = cast("Mapping[str, Any]", body).get(BODY_KEY) if isinstance(body, Mapping) else None
    if getattr(runner_args, "room_url", None):
        logger.warning("The Daily room that the bot was started with is not used: Tavus has one")
    if given is None:
        return TavusTransport(bot_name, **options)
    if not isinstance(given, Mapping):
        raise TavusConfigError(f"body[{BODY_KEY!r}] is no object: see handover()")
    conversation = _Handed(cast("Mapping[str, Any]", given))
    own = conversation.pop("own", False) is True
    for name in _FOR_CREATING:
        options.pop(name, None)
    return TavusTransport(bot_name, conversation=conversation, own=own, **options)


def handover(conversation: Conversation, *, own: bool = True) -> dict[str, Any]:
    """What to start a bot with, so that it joins a conversation.

    For the ``body`` of a request that starts the bot elsewhere, such as on Pipecat Cloud. It
    is JSON, and holds the meeting token of a private room.

    Args:
        conversation: The conversation.
        own: Whether the bot has to end it. If not, whoever created it has.

    Returns:
        ``{"tavus": {...}}``
    """
    handed = {
        "conversation_id": conversation.id,
        "conversation_url": conversation.url,
        "persona_id": conversation.persona_id,
        "meeting_token": conversation.token,
        "own": own,
    }
    return {BODY_KEY: _Handed({name: it for name, it in handed.items() if it is not None})}


def start_answer(conversation: Conversation, session_id: str | None = None) -> dict[str, str]:
    """The answer to ``/start`` that Pipecat's client SDKs join a Daily room by.

    Args:
        conversation: Where the person is to go.
        session_id: The bot's session, if it has one.

    Returns:
        ``{"dailyRoom": ...}``, with ``dailyToken`` where the room is private, and ``sessionId``.
    """
    answer = {
        "dailyRoom": conversation.url,
        "dailyToken": conversation.token,
        "sessionId": session_id,
    }
    return {name: value for name, value in answer.items() if value is not None}


class _Handed(dict[str, Any]):
    """What is handed over, without the token where it is shown: bots log their arguments."""

    def __repr__(self) -> str:
        return repr({name: it for name, it in self.items() if name != "meeting_token"})


class TavusStarter:
    """Starts a bot for each person, in a conversation of its own.

    The conversation is created first, so that the person can be told where to go. It is
    ended when its bot has returned or failed, whether it has ever joined or not; when the
    starter is closed; and when the process ends.

    Example::

        from pipecat.runner.run import app, main

        starter = TavusStarter(bot, conversation_options=ConversationOptions(require_auth=True))


        @app.post("/start")
        async def start() -> dict[str, str]:
            return await starter.start()
    """

    def __init__(self, bot: Bot, **options: Any):
        """Initialize the starter; nothing is created.

        Args:
            bot: The bot's entry point, which makes its transport by :func:`create_transport`.
            **options: Arguments of :class:`~pipecat_tavus.TavusTransport` that conversations are
                created with.
        """
        self._bot = bot
        self._options = options
        self._sessions: dict[TavusTransport, asyncio.Task[None] | None] = {}
        """Who owns each conversation, and the bot in it, once it is started."""

    async def start(self, body: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Create a conversation, and start a bot in it.

        Args:
            body: What else the bot is to be started with, as ``runner_args.body``.

        Returns:
            The answer to ``/start``: see :func:`start_answer`.

        Raises:
            TavusConfigError: An option is wrong, or the body is no object.
            TavusApiError: Tavus did not create the conversation.
            TavusError: The starter was closed meanwhile.
        """
        if not isinstance(cast("object", body or {}), Mapping):
            raise TavusConfigError(f"The body is a {type(body).__name__}, and no object")
        owner = TavusTransport("Pipecat", **self._options)
        self._sessions[owner] = None
        try:
            conversation = await owner.create_conversation()
            if owner not in self._sessions:
                raise TavusError("The starter was closed: no bot is started any more")
        except BaseException:
            self._sessions.pop(owner, None)
            await owner.close()
            raise
        args = RunnerArguments(
            body={**(body or {}), **handover(conversation, own=False)}, session_id=str(uuid.uuid4())
        )
        session = in_background(self._serve(args), f"tavus::bot::{args.session_id}")
        self._sessions[owner] = session
        in_background(self._end_with(session, owner), "tavus::session")
        return start_answer(conversation, args.session_id)

    async def close(self) -> None:
        """Cancel all bots, and end all conversations; call it when your server shuts down."""
        sessions, self._sessions = self._sessions, {}
        bots = [session for session in sessions.values() if session]
        for bot in bots:
            bot.cancel()
        if bots:
            await asyncio.wait(bots, timeout=_CLOSE_TIMEOUT)
        await asyncio.gather(*(owner.close() for owner in sessions))

    async def _serve(self, args: RunnerArguments) -> None:
        try:
            await self._bot(args)
        except Exception:
            logger.exception("The bot of session {} failed", args.session_id)

    async def _end_with(self, session: asyncio.Task[None], owner: TavusTransport) -> None:
        try:
            await asyncio.wait([session])
        finally:
            # Also where only the waiting ends, in a loop that shuts down: a Pipecat worker
            # that is cancelled then may hang (measured, 1.14).
            self._sessions.pop(owner, None)
            await owner.close()
