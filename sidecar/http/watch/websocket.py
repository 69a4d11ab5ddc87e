"""GET /v1/ws: many watches on one socket, each with the events and the cursor that a stream has."""

import asyncio
import json
from contextlib import suppress
from typing import NamedTuple

from aiohttp import WSCloseCode, WSMsgType, web

from sidecar.core.errors import Conflict, Forbidden, SidecarError
from sidecar.core.job import Json
from sidecar.http import problem, queries, wire
from sidecar.http.auth import OTHER_JOB, Principal, Right
from sidecar.http.problem import NotReadable
from sidecar.http.services import PRINCIPAL, REQUEST_ID, SERVICES, TICKET, Services
from sidecar.http.streams import FullError, Stream
from sidecar.http.watch import events
from sidecar.http.watch.client import Client
from sidecar.http.watch.every_project import EveryProjectWatch
from sidecar.http.watch.job import JobWatch, WantedJob
from sidecar.http.watch.project import ProjectWatch, WantedJobs
from sidecar.http.watch.pulse import Watch, beside_pulse
from sidecar.http.wire import SocketMessage, WatchFields
from sidecar.hub.selection import Selection
from sidecar.hub.watcher import EndedError
from sidecar.tasks import all_ended, ended
from sidecar.tokens import EVERY_PROJECT
from sidecar.tracker import FORBIDDEN

MOST_WATCHES = 100
MESSAGE_BYTES = 256 * 1024
MOST_ECHOED = 4_096
CLOSE_SECONDS = 1.0

CODES = {
    "slow_consumer": WSCloseCode.POLICY_VIOLATION,
    "expired": WSCloseCode.POLICY_VIOLATION,
    "lifetime": WSCloseCode.SERVICE_RESTART,
    "shutdown": WSCloseCode.GOING_AWAY,
    "error": WSCloseCode.SERVICE_RESTART,
}
"""How a socket is closed, by why it ends; `overloaded` stands before the close of a server that is full."""


class Key(NamedTuple):
    """What a watch is known by."""

    selection: str
    view: str


async def watch(request: web.Request) -> web.WebSocketResponse:
    """GET /v1/ws."""
    services = request.app[SERVICES]
    request[PRINCIPAL].may(Right.READ)
    queries.only(request.query, "ticket")
    # The hub pings: one timer for all, and no pong that a slow client, still busy reading, would have to give in time.
    socket = web.WebSocketResponse(timeout=CLOSE_SECONDS, compress=False, max_msg_size=MESSAGE_BYTES)
    await socket.prepare(request)
    try:
        with services.streams.opened(request[PRINCIPAL], request.remote or "") as stream:
            await _counted(services, Socket(request, socket, stream), stream)
    except FullError:
        services.gate.give_back(request.get(TICKET))
        await socket.send_str(events.overloaded_message(is_leaving=services.streams.is_draining))
        await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
    return socket


async def _counted(services: Services, socket: "Socket", stream: Stream) -> None:
    """Serve a socket to its end, close it, and count how it ended."""
    services.metrics.stream_opened("websocket")
    reason = "shutdown"
    try:
        reason = await socket.run()
    except ConnectionError:
        reason = stream.reason or "client"
    except Exception:
        reason = "error"
        raise
    finally:
        services.metrics.stream_closed("websocket", reason, services.streams.age_seconds(stream))


class Socket:
    """One open socket, and the watches on it by what they are of."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, stream: Stream) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services = request.app[SERVICES]
        self._principal: Principal = request[PRINCIPAL]
        self._request_id: str = request[REQUEST_ID]
        self._socket = socket
        self._stream = stream
        self._client = Client(request, events.websocket(), services.times.write, services.traffic["websocket"])
        self._watches: dict[Key, asyncio.Task[None]] = {}
        stream.on_end(self._client.let_go)

    async def run(self) -> str:
        """Serve until the client leaves, or the stream has to end; return why."""
        try:
            await beside_pulse(self._receive(), self._services, self._client, self._stream)
            reason = "client"
        except EndedError as error:
            reason = error.reason
        finally:
            await all_ended(self._watches.values())
        if reason != "client":
            await self._close(reason)
        return reason

    async def _close(self, reason: str) -> None:
        if reason == "slow_consumer":
            self._client.abort()
        with suppress(ConnectionError):
            await self._socket.close(code=CODES.get(reason, WSCloseCode.OK), message=reason.encode())

    async def _receive(self) -> None:
        async for message in self._socket:
            try:
                await self._heed(_text(message.data, message.type))
            except SidecarError as error:
                await self._refuse(error, _echoed(message.data))

    async def _heed(self, text: str) -> None:
        """Do what a message asks for. Raises a `SidecarError` for one that is wrong."""
        said = wire.socket_message(text)
        if said.ping is not None:
            await self._client.say("pong", {})
        if said.unwatch is not None:
            await self._unwatch(said.unwatch)
        if said.watch is not None:
            self._watch(said.watch, said)

    async def _unwatch(self, fields: WatchFields) -> None:
        """End the watch, in whatever view if none is named; what is not watched, or not any more, is no error."""
        asked = _key(fields)
        keys = (
            [asked] if fields.view is not None else [key for key in self._watches if key.selection == asked.selection]
        )
        for key in keys:
            watch = self._watches.pop(key, None)
            if watch is not None:
                await ended(watch)

    def _watch(self, fields: WatchFields, said: SocketMessage) -> None:
        key = _key(fields)
        if key in self._watches:
            raise Conflict("this is watched already")
        if len(self._watches) >= MOST_WATCHES:
            raise Conflict(f"a socket carries at most {MOST_WATCHES} watches")
        watch = self._wanted(fields, said.after or "")
        self._watches[key] = asyncio.create_task(self._follow(key, watch), name="websocket-watch")

    def _wanted(self, fields: WatchFields, after: str) -> Watch:
        """Return the watch that is asked for."""
        services, stream, may, echo = self._services, self._stream, self._principal.may(Right.READ), _echo(fields)
        if self._principal.job_id not in (None, fields.job_id):
            raise Forbidden(OTHER_JOB)
        if fields.job_id is not None:
            wanted = WantedJob(fields.job_id, may, _view(fields), after, echo)
            return JobWatch(services, wanted, self._client, stream)
        selection = Selection(fields.job_type, frozenset(fields.status), frozenset(fields.job_ids or ()))
        view, project = _view(fields), fields.project or EVERY_PROJECT
        if project == EVERY_PROJECT:
            every = WantedJobs(project, selection, view, None, echo)
            return EveryProjectWatch(services, every, may, self._client, stream)
        if not may(project):
            raise Forbidden(FORBIDDEN)
        some = WantedJobs(project, selection, view, queries.cursor(after), echo)
        return ProjectWatch(services, some, self._client, stream)

    async def _follow(self, key: Key, watch: Watch) -> None:
        """Carry a watch to its end: that of its one job, or of the whole socket."""
        try:
            await watch.run()
        except EndedError as error:
            if error.reason != "done":
                self._stream.end(error.reason)
        except ConnectionError:
            self._stream.end("client")
        except Exception:
            self._stream.end("error")
            raise
        finally:
            if self._watches.get(key) is asyncio.current_task():
                del self._watches[key]

    async def _refuse(self, error: SidecarError, echo: dict[str, Json]) -> None:
        await self._client.say("error", {**problem.document(error, self._request_id), **echo})


def _text(data: object, kind: WSMsgType) -> str:
    if kind is not WSMsgType.TEXT:
        raise NotReadable("a message must be text, and JSON")
    return str(data)


def _key(fields: WatchFields) -> Key:
    """Return what a watch is known by: the same selection written in another way is the same."""
    asked = fields.model_dump(exclude={"view"})
    asked |= {"status": sorted(fields.status), "job_ids": sorted(fields.job_ids or ())}
    return Key(json.dumps(asked, sort_keys=True), _view(fields))


def _view(fields: WatchFields) -> str:
    return fields.view or ("brief" if fields.job_id is None else "full")


def _echo(fields: WatchFields) -> dict[str, Json]:
    return {"watch": fields.model_dump(exclude_unset=True)}


def _echoed(data: object) -> dict[str, Json]:
    """Return what a message that is wrong wanted to watch, if so much can be read of it."""
    if not isinstance(data, str) or len(data) > MOST_ECHOED:
        return {}
    with suppress(NotReadable):  # read as the message was: what it cannot be, the answer cannot say again
        said = wire.value_from_json(data)
        if isinstance(said, dict) and isinstance(said.get("watch"), dict):
            return {"watch": said["watch"]}
    return {}
