"""Rooms in which something goes wrong, for the lives that are lived in them."""

from dataclasses import replace
from typing import Any

from pipecat_tavus import TavusRoomError, TavusRoomSendError
from pipecat_tavus.room.roster import REPLICA_USER_ID
from pipecat_tavus.room.seam import RoomConfig
from pipecat_tavus.sandbox.room_client import SandboxRoom


class NumbRoom(SandboxRoom):
    """A room that takes no audio and no settings."""

    async def write_audio_frame(self, frame: Any) -> bool:
        raise OSError("the device is gone")

    async def update_subscriptions(self, *args: Any, **kwargs: Any) -> None:
        raise TavusRoomError("no subscriptions today")


class _Blind:
    """A listener that is told nothing of the replica."""

    def __init__(self, listener: Any):
        self._listener = listener

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    async def on_joined(self, data: Any) -> None:
        local = data["participants"]["local"]
        await self._listener.on_joined({**data, "participants": {"local": local}})

    async def on_participant_joined(self, participant: Any) -> None:
        if REPLICA_USER_ID not in participant["info"]["userId"]:
            await self._listener.on_participant_joined(participant)


class RoomWithoutReplica(SandboxRoom):
    """A room in which the replica is not seen."""

    def __init__(self, config: RoomConfig):
        super().__init__(replace(config, listener=_Blind(config.listener)))


class RestlessRoom(SandboxRoom):
    """A room that reports trouble, and changes of everybody."""

    def __init__(self, config: RoomConfig):
        super().__init__(config)
        self._told = config.listener

    async def join(self) -> None:
        await super().join()
        await self._told.on_room_error("a hiccup")
        for interrupted in (True, False):
            await self._told.on_connection(interrupted=interrupted)
        for name in ("Mo", "Moe"):
            await self._told.on_participant_joined({"id": "p", "info": {"userName": name}})
            await self._told.on_participant_updated({"id": "p", "info": {"userName": "M"}})
        await self._told.on_participant_left({"id": "p"}, "bored")


class BrokenRoom(SandboxRoom):
    """A room that cannot do what it must: `broken` says what."""

    broken = ""

    async def setup(self, setup: Any) -> None:
        if self.broken == "setup":
            raise OSError("no device")
        await super().setup(setup)

    async def register_audio_destination(self, *args: Any, **kwargs: Any) -> None:
        if self.broken == "publish":
            raise TavusRoomSendError("no track today")
        await super().register_audio_destination(*args, **kwargs)

    async def leave(self) -> None:
        await super().leave()
        if self.broken == "leave":
            raise OSError("the network is gone")


class NoSetup(BrokenRoom):
    broken = "setup"


class NoTrack(BrokenRoom):
    broken = "publish"


class NoLeave(BrokenRoom):
    broken = "leave"
