#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the examples need to work with no network and no account.

Three Pipecat services: :mod:`~offline.hearing` (speech to text), :mod:`~offline.answering`
(the answerer) and :mod:`~offline.speaking` (text to speech). And somebody to talk with:
:mod:`~offline.stage` plays Tavus and lets a person in, :mod:`~offline.demo` has the person hold
a scripted conversation, which :mod:`~offline.timeline` prints and judges, and
:mod:`~offline.rtvi_client` is a person with an RTVI client.
"""
