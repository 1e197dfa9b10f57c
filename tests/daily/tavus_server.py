#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tavus's REST API as a server on loopback that records, fails, hangs and delays.

Its conversations have rooms at Daily, unlike those of the sandbox, so that they are joined
through the stand-in for the native module.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

API_KEY = "key-5e1f0c0ffee"


@dataclass(frozen=True)
class Request:
    at: float
    call: str
    """Method and path, such as `POST /conversations`; ids as `{id}`."""
    path: str
    key: str | None
    body: Any


@dataclass
class Fault:
    status: int = 0
    body: Any = None
    delay: float = 0.0
    hang: bool = False
    times: int = 1


@dataclass
class TavusServer:
    """An async context manager.

    Parameters:
        persona_name: The persona's name.
        meeting_token: What a created conversation has as token, or None.
        faults: What goes wrong with the next calls, by call.
    """

    persona_name: str = "Charlie"
    meeting_token: str | None = None
    faults: dict[str, Fault] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    ended: dict[str, float] = field(default_factory=dict)

    @property
    def open(self) -> list[str]:
        """Conversations that are billed."""
        return [id for id in self.created if id not in self.ended]

    def room_url(self, index: int = 0) -> str:
        """The URL of the room of the conversation that is created as the index-th."""
        return f"https://tavus.daily.co/c{index + 1:04d}"

    def of(self, call: str) -> list[Request]:
        return [request for request in self.requests if request.call == call]

    async def __aenter__(self) -> "TavusServer":
        app = web.Application()
        app.router.add_route("*", "/v2/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v2"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        parts = request.match_info["path"].split("/")
        call = f"{request.method} /{parts[0]}"
        if len(parts) > 1:
            call += "/{id}" + "".join(f"/{part}" for part in parts[2:])
        body = await request.json() if request.can_read_body else None
        key = request.headers.get("x-api-key")
        self.requests.append(Request(time.monotonic(), call, request.path, key, body))
        if fault := self._fault(call):
            if fault.hang:
                await asyncio.sleep(3600)
            await asyncio.sleep(fault.delay)
            if fault.status:
                return web.json_response(fault.body, status=fault.status)
        if call == "POST /conversations":
            return self._create()
        if call == "GET /conversations":
            return web.json_response({"data": [], "total_count": 0})
        if call == "POST /conversations/{id}/end":
            self.ended.setdefault(parts[1], time.monotonic())
            return web.Response()
        if call == "GET /personas/{id}":
            return web.json_response({"persona_id": parts[1], "persona_name": self.persona_name})
        return web.json_response({"error": "Not found"}, status=404)

    def _fault(self, call: str) -> Fault | None:
        fault = self.faults.get(call)
        if fault and fault.times > 0:
            fault.times -= 1
            return fault
        return None

    def _create(self) -> web.Response:
        url = self.room_url(len(self.created))
        id = url.rsplit("/", 1)[1]
        self.created.append(id)
        answer = {
            "conversation_id": id,
            "conversation_name": "A conversation",
            "conversation_url": url,
            "status": "active",
            "created_at": "2026-11-22T15:00:00.000000",
        }
        if self.meeting_token:
            answer["meeting_token"] = self.meeting_token
        return web.json_response(answer)
