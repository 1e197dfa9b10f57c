#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The routes of Tavus's REST API, with its errors and whatever faults are ordered."""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from aiohttp import web

from pipecat_tavus.sandbox.conversation import SandboxConversation
from pipecat_tavus.sandbox.faults import Fault, Faults
from pipecat_tavus.sandbox.store import END_HIT, RefusedCall, Store

PREFIX = "/v2"
_MAX_LIMIT = 100
_KEPT_REQUESTS = 20_000

Handler = Callable[[web.Request, Any], Awaitable[Any]]


@dataclass
class RequestRecord:
    """A REST call that came.

    Parameters:
        method: The HTTP method.
        path: Such as ``/v2/conversations``, without a query.
        at: When it came (``time.monotonic()``).
        body: Its JSON, or None.
        query: Its query.
        status: The status of the answer, or None while there is none.
        answered_at: When it was answered (``time.monotonic()``), or None.
    """

    method: str
    path: str
    at: float
    body: Any = None
    query: Mapping[str, str] | None = None
    status: int | None = None
    answered_at: float | None = None


class Account(Protocol):
    """What the routes need of the sandbox."""

    @property
    def api_key(self) -> str:
        """The one key that is accepted."""
        ...

    def create(self, body: Any) -> SandboxConversation:
        """Create a conversation, its room and its replica; raises ``RefusedCall``."""
        ...

    def end(self, conversation_id: str, reason: str) -> None:
        """End a conversation; raises ``RefusedCall``."""
        ...

    def delete(self, conversation_id: str) -> None:
        """End and forget a conversation; raises ``RefusedCall``."""
        ...


class Rest:
    """Tavus's REST API over one account.

    Parameters:
        requests: The calls that came, in their order. The oldest of very many are dropped.
    """

    def __init__(self, account: Account, store: Store, faults: Faults):
        """Initialize the API.

        Args:
            account: What creates and ends.
            store: What is looked up.
            faults: What is ordered to go wrong.
        """
        self._account = account
        self._store = store
        self._faults = faults
        self.requests: list[RequestRecord] = []
        # The store counts in seconds of a clock that never jumps; Tavus answers with the date.
        self._epoch = time.time() - time.monotonic()

    def add_routes(self, app: web.Application) -> None:
        """Put the API under ``/v2``.

        Args:
            app: The server's application.
        """
        routes: list[tuple[str, str, Handler]] = [
            ("POST", "/conversations", self._create),
            ("GET", "/conversations", self._list),
            ("GET", "/conversations/{id}", self._get),
            ("DELETE", "/conversations/{id}", self._delete),
            ("POST", "/conversations/{id}/end", self._end),
            ("GET", "/personas/{id}", self._persona),
            ("GET", "/pals/{id}", self._pal),
            ("GET", "/replicas/{id}", self._replica),
            ("GET", "/faces/{id}", self._face),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, PREFIX + path, self._route(f"{method} {path}", handler))
        app.router.add_route("*", PREFIX + "/{rest:.*}", self._route("", self._unknown))

    def _route(
        self, call: str, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            record = RequestRecord(
                request.method, request.path, time.monotonic(), query=dict(request.query)
            )
            self.requests.append(record)
            del self.requests[:-_KEPT_REQUESTS]
            body, readable = _parse(await request.read())
            record.body = body
            fault = (self._faults.take(call) if call else None) or Fault()
            await asyncio.sleep(fault.delay)
            response = None
            if fault.work:
                response = await self._answer(request, handler, body, readable)
            if fault.hang:
                await asyncio.Event().wait()
            if fault.reset:
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionResetError("cut by an ordered fault")
            if fault.refuses or response is None:
                response = _faulty(fault)
            record.status, record.answered_at = response.status, time.monotonic()
            return response

        return handle

    async def _answer(
        self, request: web.Request, handler: Handler, body: Any, readable: bool
    ) -> web.Response:
        key = request.headers.get("x-api-key", "")
        if not hmac.compare_digest(key.encode(), self._account.api_key.encode()):
            return web.json_response({"message": "Invalid access token"}, status=401)
        if not readable:
            return web.json_response({"error": "Invalid JSON"}, status=400)
        try:
            answer = await handler(request, body)
        except RefusedCall as e:
            return web.json_response(e.body, status=e.status)
        return web.Response() if answer is None else web.json_response(answer)

    async def _create(self, request: web.Request, body: Any) -> Any:
        conversation = self._account.create(body)
        answer = self._describe(conversation)
        if conversation.token:
            answer["meeting_token"] = conversation.token
        return answer

    async def _list(self, request: web.Request, body: Any) -> Any:
        status = request.query.get("status")
        if status not in (None, "active", "ended"):
            raise RefusedCall(400, {"error": "status must be active or ended"})
        limit = _positive(request, "limit", 10)
        page = _positive(request, "page", 1)
        found, total = self._store.page(limit=min(limit, _MAX_LIMIT), page=page, status=status)
        return {"data": [self._describe(c) for c in found], "total_count": total}

    async def _get(self, request: web.Request, body: Any) -> Any:
        conversation = self._store.get(request.match_info["id"])
        answer = self._describe(conversation)
        if request.query.get("verbose", "").lower() in ("true", "1"):
            answer["shutdown_reason"] = conversation.shutdown_reason
            answer["events"] = conversation.events
        return answer

    async def _delete(self, request: web.Request, body: Any) -> None:
        self._account.delete(request.match_info["id"])

    async def _end(self, request: web.Request, body: Any) -> None:
        self._account.end(request.match_info["id"], END_HIT)

    async def _persona(self, request: web.Request, body: Any) -> Any:
        id = request.match_info["id"]
        persona = self._store.persona(id)
        if persona is None:
            raise RefusedCall(404, {"message": "Persona not found"})
        return {
            "persona_id": id,
            "persona_name": persona.name,
            "pipeline_mode": persona.pipeline_mode,
            "default_replica_id": None,
            "layers": {},
        }

    async def _pal(self, request: web.Request, body: Any) -> Any:
        persona = await self._persona(request, body)
        return {
            **persona,
            "pal_id": persona["persona_id"],
            "pal_name": persona["persona_name"],
        }

    async def _replica(self, request: web.Request, body: Any) -> Any:
        id = request.match_info["id"]
        if not self._store.replica_exists(id):
            raise RefusedCall(404, {"message": "Replica not found"})
        return {
            "replica_id": id,
            "replica_name": f"Replica {id}",
            "status": "completed",
            "training_progress": "100/100",
        }

    async def _face(self, request: web.Request, body: Any) -> Any:
        replica = await self._replica(request, body)
        return {
            **replica,
            "face_id": replica["replica_id"],
            "face_name": replica["replica_name"],
        }

    async def _unknown(self, request: web.Request, body: Any) -> Any:
        raise RefusedCall(404, {"message": "Not found"})

    def _describe(self, conversation: SandboxConversation) -> dict[str, Any]:
        created_at = datetime.fromtimestamp(self._epoch + conversation.created_at, UTC)
        answer: dict[str, Any] = {
            "conversation_id": conversation.id,
            "conversation_name": conversation.name,
            "conversation_url": conversation.url,
            "status": conversation.status,
            "callback_url": conversation.callback_url,
            "replica_id": conversation.replica_id,
            "persona_id": conversation.persona_id,
            "created_at": created_at.isoformat(),
        }
        return {name: value for name, value in answer.items() if value is not None}


def _parse(data: bytes) -> tuple[Any, bool]:
    """The JSON of a body, which may be empty, and whether it is JSON."""
    try:
        return (json.loads(data) if data.strip() else None), True
    except (ValueError, RecursionError):
        return None, False


def _positive(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]):
        raise RefusedCall(400, {"error": f"{name} must be a positive number"})
    return int(text[:9])


def _faulty(fault: Fault) -> web.Response:
    status, headers = fault.status or 200, fault.headers
    if fault.body is None:
        return web.json_response({"message": "ordered fault"}, status=status, headers=headers)
    if isinstance(fault.body, str):
        return web.Response(text=fault.body, status=status, headers=headers)
    return web.json_response(fault.body, status=status, headers=headers)
