#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the voice bot needs to work with no network and no account.

Three Pipecat services: :mod:`~offline.hearing` (speech to text), :mod:`~offline.answering`
(the answerer) and :mod:`~offline.speaking` (text to speech); and a person to talk with:
:mod:`~offline.demo` plays a scripted conversation in the sandbox and
:mod:`~offline.timeline` prints and judges it.
"""
