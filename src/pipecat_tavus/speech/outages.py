#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Failures that repeat, told once for each outage."""

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusError


class Outages:
    """Tells the application of a failure when it begins, and not again until it is over.

    A processor that relays errors as app messages would feed on them.
    """

    def __init__(self, client: TavusTransportClient):
        """Initialize it with everything in order.

        Args:
            client: Whose failures they are.
        """
        self._client = client
        self._failing: set[str] = set()

    async def failed(self, what: str, error: TavusError) -> None:
        """Something failed, perhaps not for the first time.

        Args:
            what: What it was, such as ``audio``.
            error: How.
        """
        # Nor when it is all over, which was told, with its reason.
        if what not in self._failing and not self._client.is_over:
            self._failing.add(what)
            await self._client.report(error)

    def over(self, what: str) -> None:
        """It works.

        Args:
            what: What does.
        """
        self._failing.discard(what)
