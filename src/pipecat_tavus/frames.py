#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The frames that only this transport has."""

from dataclasses import dataclass

from pipecat.frames.frames import SystemFrame, TTSTextFrame

from pipecat_tavus.events.events import TavusEvent


@dataclass
class TavusEventFrame(SystemFrame):
    """One of Tavus's events, on its way downstream from the transport's input.

    Parameters:
        event: The event. One that is ``late`` tells of the past.
    """

    event: TavusEvent


@dataclass
class SpokenTextFrame(SystemFrame, TTSTextFrame):
    """Words of an interrupted sentence that the replica had spoken, for the context.

    A system frame, so that it stays ahead of the interruption, which drops all others.
    """
