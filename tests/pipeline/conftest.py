"""The whole transport in a real pipeline, against the sandbox."""

import pytest

from pipecat_tavus import TavusParams, TavusTransport
from pipecat_tavus.conversation import farewell
from pipecat_tavus.sandbox import ReplicaSettings, TavusSandbox


@pytest.fixture
async def sandbox(monkeypatch, request, ledger_path):
    replica = ReplicaSettings(join_delay=0.1, rendering_delay=0.1)
    async with TavusSandbox(replica=replica) as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
        monkeypatch.delenv("TAVUS_SAMPLE_ROOM_URL", raising=False)
        yield sandbox
        if request.node.get_closest_marker("ended_by_tavus"):
            # What could not be ended would be tried once more when the tests exit.
            farewell.forget_all()
        else:
            reasons = {c.shutdown_reason for c in sandbox.conversations.values()}
            assert reasons <= {"end_conversation_endpoint_hit"}, "it was not we who ended it"


@pytest.fixture
def transport(sandbox):
    # Without the 2 s of silence that Pipecat plays at an end.
    return TavusTransport(bot_name="Ada", params=TavusParams(audio_out_end_silence_secs=0))
