#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The sandbox's server: one Tavus account and its rooms, on loopback unless told otherwise."""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Self

from aiohttp import web
from loguru import logger
from yarl import URL

from pipecat_tavus.sandbox import wire
from pipecat_tavus.sandbox.address import reachable
from pipecat_tavus.sandbox.bot_seat import BotSeat
from pipecat_tavus.sandbox.conversation import SandboxConversation
from pipecat_tavus.sandbox.faults import Faults
from pipecat_tavus.sandbox.person import SandboxPerson
from pipecat_tavus.sandbox.picture import Scene
from pipecat_tavus.sandbox.replica import Replica
from pipecat_tavus.sandbox.replica_settings import ReplicaSettings
from pipecat_tavus.sandbox.rest import PREFIX, RequestRecord, Rest
from pipecat_tavus.sandbox.room_hub import Room
from pipecat_tavus.sandbox.store import ROOM_DELETED, Store
from pipecat_tavus.sandbox.task_set import TaskSet
from pipecat_tavus.sandbox.webhooks import Webhooks

_SHUTDOWN_SECS = 0.5


class TavusSandbox:
    """Plays Tavus, its rooms, the replica and people, so that a bot runs with no account.

    Example::

        async with TavusSandbox() as sandbox:
            os.environ["TAVUS_API_URL"] = sandbox.api_url
            os.environ["TAVUS_API_KEY"] = sandbox.api_key
            ...

    When the block ends nothing is left: no task, no socket, no timer.

    Parameters:
        fail: Orders a fault for the next calls, such as
            ``sandbox.fail("POST /conversations", status=500)``; see
            :meth:`~pipecat_tavus.sandbox.faults.Faults.order`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str = "sandbox",
        max_concurrent: int = 3,
        replica: ReplicaSettings | None = None,
        personas: Mapping[str, str | Mapping[str, Any]] | None = None,
        reaction_time: float = 1.0,
        on_conversation: Callable[[SandboxConversation], Coroutine[Any, Any, None]] | None = None,
    ):
        """Initialize a sandbox that does not listen yet.

        Args:
            host: The address to listen on. Whoever reaches it can use the sandbox.
            port: The port, 0 for a free one.
            api_key: The one key that is accepted.
            max_concurrent: How many conversations may be active at once.
            replica: How the replica behaves.
            personas: Names of personas by id, or what Tavus stores of them
                (``{"persona_name": ..., "pipeline_mode": "echo"}``), besides its
                ready-made ones.
            reaction_time: Seconds until Tavus notices that the last participant left;
                ``participant_left_timeout`` counts from then.
            on_conversation: Awaited in a task of its own for each new conversation.
        """
        self._host = host
        self._port = port
        self._api_key = api_key
        self._replica_settings = replica or ReplicaSettings()
        self._on_conversation = on_conversation
        self._store = Store(
            max_concurrent=max_concurrent, personas=personas, reaction_time=reaction_time
        )
        self._faults = Faults()
        self.fail = self._faults.order
        self._rest = Rest(self, self._store, self._faults)
        self._rooms: dict[str, Room] = {}
        self._replicas: dict[str, Replica] = {}
        self._tasks = TaskSet()
        self._spawn = self._tasks.spawn
        self._webhooks = Webhooks(self._spawn)
        self._timer: asyncio.TimerHandle | None = None
        self._seq = itertools.count(1)
        self._runner: web.AppRunner | None = None
        self._base_url = ""

    @property
    def api_url(self) -> str:
        """The value for ``TAVUS_API_URL``."""
        return self._base_url + PREFIX

    @property
    def api_key(self) -> str:
        """The one key that is accepted: the value for ``TAVUS_API_KEY``."""
        return self._api_key

    @property
    def requests(self) -> list[RequestRecord]:
        """The REST calls that came, in their order."""
        return self._rest.requests

    @property
    def conversations(self) -> dict[str, SandboxConversation]:
        """All conversations by id, in the order of their creation."""
        return self._store.conversations

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        app = web.Application(client_max_size=1024**2)
        self._rest.add_routes(app)
        app.router.add_get("/rooms/{id}", self._enter_room)
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_SECS
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
            self._webhooks.open()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._base_url = f"http://{reachable(self._host)}:{runner.addresses[0][1]}"
        logger.debug(f"The Tavus sandbox listens on {self._base_url}")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close all rooms, stop listening, and leave nothing behind."""
        runner, self._runner = self._runner, None
        for room in self._rooms.values():
            room.close("sandbox stopped")
        self._arm()
        await self._tasks.cancel()
        if runner:
            await runner.cleanup()
        await self._webhooks.close()

    def create(self, body: Any) -> SandboxConversation:
        """Create a conversation, as ``POST /conversations`` does.

        Args:
            body: What would be sent.

        Returns:
            The conversation.

        Raises:
            RefusedCall: As Tavus refuses it.
        """
        conversation = self._store.create(
            body, now=time.monotonic(), room_base=f"{self._base_url}/rooms"
        )
        room = Room(
            conversation.id,
            capacity=conversation.max_guests,
            on_change=self._room_changed,
            spawn=self._spawn,
        )
        self._rooms[conversation.id] = room
        if not conversation.test_mode:
            replica = Replica(
                conversation,
                room,
                self._replica_settings,
                next_seq=lambda: next(self._seq),
                on_joined=lambda: self._webhooks.tell_joined(conversation),
            )
            self._replicas[conversation.id] = replica
            self._spawn(replica.run())
        if self._on_conversation:
            self._spawn(self._on_conversation(conversation))
        self._arm()
        return conversation

    def end(self, conversation_id: str, reason: str) -> None:
        """Let Tavus end a conversation by itself.

        Args:
            conversation_id: Which.
            reason: The shutdown reason.

        Raises:
            RefusedCall: There is none, or it has ended.
        """
        conversation = self._store.end(conversation_id, reason, now=time.monotonic())
        replica = self._replicas.pop(conversation_id, None)
        if replica:
            replica.shutdown(reason)
        self._webhooks.tell_over(conversation)
        self.room(conversation_id).close(reason)
        self._arm()

    def delete(self, conversation_id: str) -> None:
        """End and forget a conversation, as ``DELETE /conversations/{id}`` does.

        Args:
            conversation_id: Which.

        Raises:
            RefusedCall: There is none.
        """
        if self._store.get(conversation_id).status == "active":
            self.end(conversation_id, ROOM_DELETED)
        self._store.delete(conversation_id)
        self._rooms.pop(conversation_id).close(ROOM_DELETED)

    def close_room(self, conversation_id: str, reason: str = ROOM_DELETED) -> None:
        """Close a room under everybody in it; its conversation ends with it.

        Args:
            conversation_id: Which.
            reason: Why.
        """
        room = self.room(conversation_id)
        self._replicas.pop(conversation_id, None)
        room.close(reason)
        if self._store.get(conversation_id).status == "active":
            self.end(conversation_id, reason)

    def room(self, conversation_id: str) -> Room:
        """The room of a conversation.

        Args:
            conversation_id: Which.

        Returns:
            The room, which may have closed.
        """
        return self._rooms[conversation_id]

    def replica(self, conversation_id: str) -> Replica:
        """The replica of an active conversation, to let it leave and join again.

        Args:
            conversation_id: Which.

        Returns:
            The replica.
        """
        return self._replicas[conversation_id]

    def refusals(self, conversation_id: str) -> list[str]:
        """What was asked of the replica that Tavus would refuse, so it was not done.

        Args:
            conversation_id: Which.

        Returns:
            The reasons, in their order.
        """
        return list(self._store.get(conversation_id).refusals)

    def interactions(self, conversation_id: str) -> list[dict[str, Any]]:
        """What was asked of Tavus and cannot be heard when it is done.

        Args:
            conversation_id: Which.

        Returns:
            The messages to respond, of contexts and of sensitivities, in their order.
        """
        return list(self._store.get(conversation_id).interactions)

    async def join_person(
        self, where: str, name: str = "User", *, camera: Scene | None = None
    ) -> SandboxPerson:
        """Let a scripted human join a conversation.

        Args:
            where: The conversation's id; or its URL, which for a private room has a token.
            name: The human's name in the room.
            camera: What its camera shows from the first; off by default.

        Returns:
            The person.

        Raises:
            TavusRoomJoinError: The room has closed, is full, or wants another token.
            ValueError: The camera cannot show that.
        """
        url = URL(where)
        room = self._admit(url.name, url.query.get("t")) if url.host else self.room(where)
        person = SandboxPerson(room, name, camera)
        self._spawn(person.run())
        return person

    async def _enter_room(self, request: web.Request) -> web.StreamResponse:
        """A bot comes to a room's URL."""
        ws = web.WebSocketResponse(
            heartbeat=30.0, compress=False, max_msg_size=wire.MAX_FRAME, timeout=_SHUTDOWN_SECS
        )
        if not ws.can_prepare(request):
            return web.Response(text="This is a room of the Tavus sandbox; bots join it.\n")
        await ws.prepare(request)
        id = request.match_info["id"]
        await BotSeat(request, ws, self._faults, lambda token: self._admit(id, token)).run()
        return ws

    def _admit(self, conversation_id: str, token: str | None) -> Room:
        """The room, for somebody who may join it with this token."""
        self._store.admit(conversation_id, token, now=time.monotonic())
        return self._rooms[conversation_id]

    def _room_changed(self, room: Room) -> None:
        self._store.present(room.conversation_id, room.guests, now=time.monotonic())
        self._arm()

    def _arm(self) -> None:
        """Wake up when the next conversation reaches a limit, while the sandbox runs."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        deadline = self._store.next_deadline()
        if deadline is not None and self._runner:
            wait = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._end_due)

    def _end_due(self) -> None:
        self._timer = None
        for conversation, reason in self._store.due(time.monotonic()):
            self.end(conversation.id, reason)
        self._arm()
