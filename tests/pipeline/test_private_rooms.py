"""Private rooms, all options of a conversation, and the newer names of personas and replicas."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest
from bots import Bot
from yarl import URL

from pipecat_tavus import Conversation, ConversationOptions, TavusTransport


def token(claims: object) -> str:
    return ".".join(
        ["e30", urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("="), "s"]
    )


async def test_the_bot_joins_a_private_room_and_the_person_is_given_its_url(sandbox):
    transport = TavusTransport("Ada", conversation_options=ConversationOptions(
        require_auth=True, audio_only=True, brand_new="kept"
    ))  # fmt: skip
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        conversation = transport.conversation
        assert conversation.token
        assert URL(conversation.join_url).query["t"] == conversation.token
        assert conversation.token not in repr(conversation) + str(conversation)
        body = sandbox.conversations[conversation.id].body
        assert (body["require_auth"], body["audio_only"], body["brand_new"]) == (True, True, "kept")
        assert body["properties"]["participant_left_timeout"] == 30


async def test_a_public_room_has_nothing_to_hide():
    conversation = Conversation(conversation_id="c", conversation_url="https://x.daily.co/c")
    assert conversation.join_url == conversation.url
    assert conversation.token_expires_at is None


@pytest.mark.parametrize(
    ("claims", "expires"),
    [
        ({"exp": 1_800_000_000}, datetime.fromtimestamp(1_800_000_000, UTC)),
        *(({}, None), ([], None), ({"exp": "soon"}, None), ({"exp": 1e30}, None)),
    ],
)
def test_a_token_says_until_when_it_lets_somebody_in(claims, expires):
    conversation = Conversation(conversation_id="c", meeting_token=token(claims))
    assert conversation.token_expires_at == expires


@pytest.mark.parametrize("bad", ["", "x", "a.b", "a.\u00e9.c", "a.e30.c"])
def test_a_token_that_says_nothing_is_no_error(bad):
    assert Conversation(conversation_id="c", meeting_token=bad).token_expires_at is None


async def test_the_newer_names_work_as_the_older_ones(sandbox, monkeypatch):
    monkeypatch.delenv("TAVUS_REPLICA_ID")
    monkeypatch.setenv("TAVUS_FACE_ID", "f1")
    transport = TavusTransport("Ada", pal_id="pipecat0")
    async with Bot(transport) as bot:
        await bot.event("on_replica_joined")
        body = sandbox.conversations[transport.conversation.id].body
        assert (body["face_id"], body["pal_id"]) == ("f1", "pipecat0")
        assert "persona_id" not in body
        assert transport._client.audio_delivery == "echo"
