#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the replica tells about itself and the user, in the form that is asked for: pure."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pipecat_tavus.sandbox.replica_settings import ReplicaSettings
from pipecat_tavus.sandbox.speech import Edge

Role = Literal["replica", "user"]
_HOLD_SECS = 0.15


class Announcer:
    """Builds Tavus's events, numbers them, and sends them in order or, if asked, in disorder."""

    def __init__(
        self,
        conversation_id: str,
        settings: ReplicaSettings,
        *,
        next_seq: Callable[[], int],
        clock: Callable[[], float],
        unix_clock: Callable[[], float],
        send: Callable[[Mapping[str, Any]], None],
        transcript: list[dict[str, str]],
    ):
        """Initialize an announcer that has said nothing.

        Args:
            conversation_id: The conversation that the events are of.
            settings: The form of the events.
            next_seq: Gives the number of the next event.
            clock: Gives the time that :attr:`due` is measured in.
            unix_clock: Gives Unix seconds.
            send: Sends an event.
            transcript: Gets what was said.
        """
        self._conversation_id = conversation_id
        self._settings = settings
        self._next_seq = next_seq
        self._clock = clock
        self._unix_clock = unix_clock
        self._send = send
        self._transcript = transcript
        self._held: Mapping[str, Any] | None = None
        self._held_until = 0.0

    @property
    def due(self) -> float | None:
        """When an event that is held back waits no longer, or None."""
        return None if self._held is None else self._held_until

    def step(self, now: float) -> None:
        """Let time pass.

        Args:
            now: The time.
        """
        if self._held is not None and now >= self._held_until:
            self.flush()

    def flush(self) -> None:
        """Send what is held back."""
        held, self._held = self._held, None
        if held is not None:
            self._send(held)
            self._send(held)

    def system(self, event_type: str, properties: Mapping[str, Any] | None = None) -> None:
        """Tell about the conversation.

        Args:
            event_type: Such as ``system.replica_joined``.
            properties: What belongs to it, or None.
        """
        self._say("system", event_type, properties)

    def other(
        self,
        event_type: str,
        properties: Mapping[str, Any] | None,
        inference_id: str | None = None,
    ) -> None:
        """Tell something else.

        Args:
            event_type: Such as ``conversation.tool_call``.
            properties: What belongs to it, or None.
            inference_id: Which utterance of the replica it belongs to, or None.
        """
        self._say(event_type.partition(".")[0], event_type, properties, inference_id)

    def speaking(
        self, role: Role, what: Edge, details: Mapping[str, Any], inference_id: str | None = None
    ) -> None:
        """Tell where speech begins or ends.

        Args:
            role: Whose.
            what: Which end.
            details: ``duration`` and ``interrupted`` at its end.
            inference_id: Which utterance of the replica.
        """
        form = self._settings.events
        if form in ("old", "both"):
            self._say("conversation", f"conversation.{role}.{what}", details or None, inference_id)
        if form in ("new", "both"):
            properties = {"role": self._name(role), **details}
            self._say("conversation", f"conversation.{what}", properties, inference_id)

    def utterance(self, role: Role, speech: str, inference_id: str | None = None) -> None:
        """Tell what was said.

        Args:
            role: By whom.
            speech: The words.
            inference_id: Which utterance of the replica.
        """
        properties = {"role": self._name(role), "speech": speech}
        # In a transcript the replica is the LLM's assistant.
        speaker = "assistant" if role == "replica" else role
        self._transcript.append({"role": speaker, "content": speech})
        self._say("conversation", "conversation.utterance", properties, inference_id)

    def words(
        self, index: int, speech: str, inference_id: str, *, final: bool, interrupted: bool
    ) -> None:
        """Tell what the replica has said so far.

        Args:
            index: Which such event of the utterance it is, from 0 on.
            speech: The words.
            inference_id: Which utterance.
            final: Whether it is over.
            interrupted: Whether it was cut off.
        """
        properties = {
            "role": self._name("replica"),
            "content_index": index,
            "speech": speech,
            "final": final,
            "is_interrupted": interrupted,
        }
        self._say("conversation", "conversation.utterance.streaming", properties, inference_id)

    def _name(self, role: Role) -> str:
        return self._settings.role_name if role == "replica" else role

    def _say(
        self,
        message_type: str,
        event_type: str,
        properties: Mapping[str, Any] | None = None,
        inference_id: str | None = None,
    ) -> None:
        event: dict[str, Any] = {
            "message_type": message_type,
            "event_type": event_type,
            "conversation_id": self._conversation_id,
            "seq": self._next_seq(),
            "timestamp": self._unix_clock(),
        }
        if inference_id is not None:
            event["inference_id"] = inference_id
        if properties is not None:
            event["properties"] = dict(properties)
        if not self._settings.disorder:
            self._send(event)
        elif self._held is None:
            self._held, self._held_until = event, self._clock() + _HOLD_SECS
        else:
            before, self._held = self._held, None
            for swapped in (event, before) * 2:
                self._send(swapped)
