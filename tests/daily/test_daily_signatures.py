#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The stand-in is what it stands for."""

import ast
import inspect
import typing
from pathlib import Path
from typing import Any

import daily
import native
import pytest
from pipecat.transports.daily import transport as pipecat_daily

STOOD_IN_FOR = [(getattr(daily, cls.__name__), cls) for cls in native.REPLACED]


def _public(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def _signature(function: Any) -> list[tuple[str, Any, Any]]:
    """Names, kinds and defaults; types are in the .pyi alone, which is written by hand."""
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "self"
    ]


# What a test asks of the stand-in, beside what the real one has.
SCRIPT = {
    "CallClient": {
        "hear",
        "in_call",
        "renderers",
        "see",
        "tell",
        "thrown_out",
        "video_renderers",
        "view",
    },
    "CustomAudioSource": {"auto_silence", "lead_at", "pcm", "played_at", "writes"},
    "CustomAudioTrack": {"source"},
    "Daily": set(),
}


@pytest.mark.parametrize(("real", "stand_in"), STOOD_IN_FOR, ids=lambda cls: cls.__name__)
def test_every_signature_is_the_real_one(real: type, stand_in: type) -> None:
    if real is not daily.Daily:  # Only a namespace, which nobody makes an instance of.
        assert _signature(stand_in) == _signature(real)
    for name in _public(stand_in) - SCRIPT[stand_in.__name__]:
        ours, theirs = getattr(stand_in, name), getattr(real, name)
        if isinstance(inspect.getattr_static(stand_in, name), property):
            assert inspect.isdatadescriptor(theirs), name
        else:
            assert _signature(ours) == _signature(theirs), name


def test_a_renderer_gets_the_fields_of_the_real_audio() -> None:
    real = {name for name in _public(daily.AudioData)}
    assert set(typing.get_type_hints(native.AudioData)) == real


def test_a_video_renderer_gets_the_fields_of_the_real_picture() -> None:
    assert set(typing.get_type_hints(native.VideoFrame)) == _public(daily.VideoFrame)


def test_every_call_that_pipecat_makes_for_audio_and_messages_is_there() -> None:
    # Of Pipecat's client, the methods that ours uses, and what they use in turn.
    tree = ast.parse(Path(pipecat_daily.__file__).read_text())
    (client,) = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "DailyTransportClient"
    )
    methods = {node.name: node for node in client.body if hasattr(node, "name")}
    todo = {
        "setup",
        "cleanup",
        "join",
        "leave",
        "send_message",
        "register_audio_destination",
        "write_audio_frame",
        "capture_participant_audio",
        "capture_participant_video",
        "update_subscriptions",
        "remove_custom_audio_track",
    }
    done: set[str] = set()
    native_calls: set[str] = set()
    while todo:
        name = todo.pop()
        done.add(name)
        for node in ast.walk(methods[name]):
            if isinstance(node, ast.Attribute):
                if isinstance(node.value, ast.Attribute) and node.value.attr == "_client":
                    native_calls.add(node.attr)
                elif isinstance(node.value, ast.Name) and node.value.id == "self":
                    if node.attr in methods and "video" not in node.attr:
                        todo |= {node.attr} - done
    assert {"join", "leave", "send_app_message", "add_custom_audio_track"} <= native_calls
    missing = native_calls - _public(native.CallClient) - {"remove_custom_video_track"}
    assert not missing


def test_the_native_names_are_back_when_it_is_over() -> None:
    with native.NativeDaily():
        assert pipecat_daily.CallClient is native.CallClient
    for real, _ in STOOD_IN_FOR:
        assert getattr(pipecat_daily, real.__name__) is real
