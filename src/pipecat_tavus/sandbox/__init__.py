#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A Tavus of one's own: REST API, rooms, replica and scripted people, played locally.

``python -m pipecat_tavus.sandbox`` starts one; in a test it is an async context manager::

    async with TavusSandbox() as sandbox:
        ...  # a bot that has sandbox.api_url as TAVUS_API_URL
        person = await sandbox.join_person(next(iter(sandbox.conversations)))
        await person.say("hello.wav")
"""

from pipecat_tavus.sandbox.face import mouth_of
from pipecat_tavus.sandbox.person import Note, SandboxPerson
from pipecat_tavus.sandbox.picture import Picture
from pipecat_tavus.sandbox.replica_settings import ReplicaSettings
from pipecat_tavus.sandbox.server import TavusSandbox

__all__ = ["Note", "Picture", "ReplicaSettings", "SandboxPerson", "TavusSandbox", "mouth_of"]
