#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A Tavus video avatar for any Pipecat bot.

:class:`TavusTransport` is what a bot imports, or, where its people are at another transport,
:class:`TavusVideoService`. :class:`TavusApi` is the REST client alone,
:class:`TavusTransportClient` what custom processors are built on, and
``pipecat_tavus.sandbox`` a Tavus on this machine that needs no account.
"""

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import (
    TavusApiError,
    TavusAuthenticationError,
    TavusConcurrencyLimitError,
    TavusConfigError,
    TavusConnectionError,
    TavusError,
    TavusInvalidRequestError,
    TavusMalformedAnswerError,
    TavusNotFoundError,
    TavusOutOfCreditsError,
    TavusRateLimitError,
    TavusReplicaAbsentError,
    TavusReplicaLeftError,
    TavusRoomClosedError,
    TavusRoomError,
    TavusRoomJoinError,
    TavusRoomSendError,
    TavusServerError,
    TavusTimeoutError,
    TavusWebhookError,
)
from pipecat_tavus.events.events import (
    PerceptionAnalysisEvent,
    PerceptionImage,
    PerceptionToolCallEvent,
    ReplicaJoinedEvent,
    ReplicaPresentEvent,
    ShutdownEvent,
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
    TavusEvent,
    ToolCallEvent,
    UnknownEvent,
    UtteranceEvent,
    parse_event,
)
from pipecat_tavus.events.speech_listener import SpeechListener
from pipecat_tavus.frames import SpokenTextFrame, TavusEventFrame
from pipecat_tavus.input import TavusInputTransport
from pipecat_tavus.metrics import (
    ConversationCreateMetricsData,
    ReplicaSpeechMetricsData,
    RoomJoinMetricsData,
)
from pipecat_tavus.output import TavusOutputTransport
from pipecat_tavus.params import TavusCallbacks, TavusParams
from pipecat_tavus.rest.api import TavusApi
from pipecat_tavus.rest.models import (
    Conversation,
    ConversationOptions,
    ConversationPage,
    ConversationProperties,
)
from pipecat_tavus.rest.personas import Persona, Replica
from pipecat_tavus.rest.retry import RetryPolicy
from pipecat_tavus.room.seam import RoomClient, RoomConfig, RoomFactory, RoomListener
from pipecat_tavus.tools import TavusFunctionCalls
from pipecat_tavus.transport import TavusTransport
from pipecat_tavus.video import TavusVideoService
from pipecat_tavus.webhooks import (
    PerceptionAnalysisWebhook,
    RecordingReadyWebhook,
    ReplicaJoinedWebhook,
    ShutdownWebhook,
    TavusWebhook,
    TranscriptionReadyWebhook,
    TranscriptMessage,
    UnknownWebhook,
    parse_webhook,
)

__version__ = "0.1.0"

__all__ = [
    "Conversation",
    "ConversationCreateMetricsData",
    "ConversationOptions",
    "ConversationPage",
    "ConversationProperties",
    "PerceptionAnalysisEvent",
    "PerceptionAnalysisWebhook",
    "PerceptionImage",
    "PerceptionToolCallEvent",
    "Persona",
    "RecordingReadyWebhook",
    "Replica",
    "ReplicaJoinedEvent",
    "ReplicaJoinedWebhook",
    "ReplicaPresentEvent",
    "ReplicaSpeechMetricsData",
    "RetryPolicy",
    "RoomClient",
    "RoomConfig",
    "RoomFactory",
    "RoomJoinMetricsData",
    "RoomListener",
    "ShutdownEvent",
    "ShutdownWebhook",
    "SpeechListener",
    "SpokenTextFrame",
    "StartedSpeakingEvent",
    "StoppedSpeakingEvent",
    "StreamingUtteranceEvent",
    "TavusApi",
    "TavusApiError",
    "TavusAuthenticationError",
    "TavusCallbacks",
    "TavusConcurrencyLimitError",
    "TavusConfigError",
    "TavusConnectionError",
    "TavusError",
    "TavusEvent",
    "TavusEventFrame",
    "TavusFunctionCalls",
    "TavusInputTransport",
    "TavusInvalidRequestError",
    "TavusMalformedAnswerError",
    "TavusNotFoundError",
    "TavusOutOfCreditsError",
    "TavusOutputTransport",
    "TavusParams",
    "TavusRateLimitError",
    "TavusReplicaAbsentError",
    "TavusReplicaLeftError",
    "TavusRoomClosedError",
    "TavusRoomError",
    "TavusRoomJoinError",
    "TavusRoomSendError",
    "TavusServerError",
    "TavusTimeoutError",
    "TavusTransport",
    "TavusTransportClient",
    "TavusVideoService",
    "TavusWebhook",
    "TavusWebhookError",
    "ToolCallEvent",
    "TranscriptMessage",
    "TranscriptionReadyWebhook",
    "UnknownEvent",
    "UnknownWebhook",
    "UtteranceEvent",
    "__version__",
    "parse_event",
    "parse_webhook",
]
