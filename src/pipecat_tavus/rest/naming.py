#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A persona's name, looked up once and beside everything else."""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from pipecat_tavus.background import in_background
from pipecat_tavus.errors import TavusApiError
from pipecat_tavus.rest.api import TavusApi


class PersonaName:
    """The name of a persona, which its replica may bear in the room."""

    def __init__(self, api: TavusApi, persona_id: str, found: Callable[[str], Awaitable[None]]):
        """Initialize the name; nothing is asked for.

        Args:
            api: The REST client.
            persona_id: The persona.
            found: Told the name, as soon as it is known.
        """
        self._api = api
        self._persona_id = persona_id
        self._found = found
        self._asking: asyncio.Task[str] | None = None

    def ask(self) -> asyncio.Task[str]:
        """Ask for it, unless it was asked for.

        Returns:
            The task that looks it up.
        """
        if self._asking is None:
            # A look-up that fails costs nothing but the warning below.
            self._asking = in_background(self._look_up(), "tavus::persona_name")
        return self._asking

    async def get(self) -> str:
        """The name; asked for once, whoever waits for it.

        Returns:
            The name.

        Raises:
            TavusApiError: It could not be looked up.
        """
        return await asyncio.shield(self.ask())

    def give_up(self) -> None:
        """It is needed no longer."""
        if self._asking:
            self._asking.cancel()

    async def _look_up(self) -> str:
        try:
            name = await self._api.get_persona_name(self._persona_id)
        except TavusApiError as e:
            logger.warning("The persona's name is unknown, only the replica's id counts: {}", e)
            raise
        await self._found(name)
        return name
