#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What is measured of a conversation, as Pipecat's metrics."""

from pipecat.metrics.metrics import ProcessingMetricsData, TTFBMetricsData


class ConversationCreateMetricsData(ProcessingMetricsData):
    """How many seconds Tavus took to create the conversation, retries included."""


class RoomJoinMetricsData(ProcessingMetricsData):
    """How many seconds it took to join the conversation's room."""


class ReplicaSpeechMetricsData(TTFBMetricsData):
    """How many seconds after the first audio was handed over the replica began to speak it."""
