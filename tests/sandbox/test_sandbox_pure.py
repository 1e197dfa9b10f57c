#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Subscriptions, ordered faults, and facts about PCM16."""

import io
import wave

import pytest

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.faults import Fault, Faults
from pipecat_tavus.sandbox.subscriptions import Subscriptions


def settings(**media):
    return {"someone": {"media": media}}


def test_all_sound_and_no_picture_is_received_before_any_setting():
    assert Subscriptions().delivers("someone", "microphone")
    assert not Subscriptions().delivers("someone", "camera")


def test_an_unsubscribed_microphone_is_not_received_until_it_is_subscribed():
    subscriptions = Subscriptions()
    subscriptions.apply(settings(microphone="unsubscribed"), None)
    assert not subscriptions.delivers("someone", "microphone")
    assert subscriptions.delivers("someone", "stream")
    assert subscriptions.delivers("another", "microphone")
    subscriptions.apply(settings(microphone={"subscriptionState": "subscribed"}), None)
    assert subscriptions.delivers("someone", "microphone")


def test_settings_are_merged_and_readable_in_dailys_words():
    subscriptions = Subscriptions()
    subscriptions.apply(settings(microphone="unsubscribed", customAudio={"a": "subscribed"}), None)
    subscriptions.apply(settings(camera="staged", customAudio={"b": "unsubscribed"}), {})
    assert subscriptions["someone"]["media"] == {
        "microphone": "unsubscribed",
        "camera": "staged",
        "customAudio": {"a": "subscribed", "b": "unsubscribed"},
    }
    assert subscriptions.delivers("someone", "a")
    assert not subscriptions.delivers("someone", "b")


def test_a_participants_setting_goes_before_everybodys_and_that_before_the_profile():
    subscriptions = Subscriptions()
    subscriptions.apply(None, {"base": {"microphone": "unsubscribed"}})
    assert not subscriptions.delivers("someone", "microphone")
    subscriptions.apply({"*": {"media": "subscribed"}}, None)
    assert subscriptions.delivers("someone", "microphone")
    subscriptions.apply(settings(microphone="unsubscribed"), None)
    assert not subscriptions.delivers("someone", "microphone")


@pytest.mark.parametrize(
    "wrong",
    [
        ["someone"],
        {"someone": "unsubscribed"},
        settings(microphone="off"),
        settings(microphone=None),
        settings(customAudio="subscribed"),
        {"someone": {"media": ["microphone"]}},
    ],
)
def test_settings_that_daily_does_not_take_are_refused_and_change_nothing(wrong):
    subscriptions = Subscriptions()
    with pytest.raises(ValueError):
        subscriptions.apply(wrong, None)
    assert not subscriptions


def test_faults_are_used_up_in_their_order():
    faults = Faults()
    faults.order("JOIN", status=1)
    faults.order("JOIN", status=2, times=2)
    faults.order("SEND", times=None)
    assert [f and f.status for f in (faults.take("JOIN") for _ in range(4))] == [1, 2, 2, None]
    assert all(faults.take("SEND") == Fault(status=500, work=False) for _ in range(5))
    assert faults.take("GET /conversations") is None


def test_a_fault_ordered_for_no_call_is_none():
    faults = Faults()
    faults.order("JOIN", times=0)
    faults.order("JOIN", status=402)
    assert faults.take("JOIN").status == 402


def test_a_call_that_does_not_exist_cannot_be_made_to_fail():
    with pytest.raises(ValueError, match=r"POST /conversations/\{id\}/end"):
        Faults().order("POST /conversation")


@pytest.mark.parametrize(
    ("order", "works"),
    [
        ({}, False),
        ({"status": 503}, False),
        ({"body": "<html>"}, False),
        ({"hang": True}, False),
        ({"delay": 1.0}, True),
        ({"reset": True}, True),
        ({"hang": True, "work": True}, True),
        ({"reset": True, "work": False}, False),
    ],
)
def test_a_call_takes_effect_where_it_is_only_slow_or_its_answer_lost(order, works):
    faults = Faults()
    faults.order("POST /conversations", **order)
    assert faults.take("POST /conversations").work is works


def wav(channels, width, frames):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(16000)
        writer.writeframes(frames)
    return file.getvalue()


def test_a_wav_file_is_read_bit_for_bit():
    assert pcm16.read_wav(wav(1, 2, b"\1\2\3\4")) == (b"\1\2\3\4", 16000)


def test_channels_are_mixed_into_one():
    frames = b"".join(n.to_bytes(2, "little", signed=True) for n in (100, 200, -100, -300))
    mixed, _ = pcm16.read_wav(wav(2, 2, frames))
    assert mixed == (150).to_bytes(2, "little") + (-200).to_bytes(2, "little", signed=True)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"not a wav file at all", wav(1, 1, b"\1\2")])
def test_what_is_not_a_wav_file_of_16_bit_is_refused(data):
    with pytest.raises(ValueError, match="WAV"):
        pcm16.read_wav(data)


@pytest.mark.parametrize(
    ("pcm", "offsets"),
    [
        (b"", (0, 0)),
        (bytes(4), (0, 0)),
        (b"\0\0\1\0\0\0", (2, 4)),
        (b"\0\1\0\1", (0, 4)),
        (b"\1\0\0\0\0\1", (0, 6)),
    ],
)
def test_sounding_is_found_at_sample_boundaries(pcm, offsets):
    assert pcm16.sounding(pcm) == offsets


def test_frames_are_whole_samples_at_any_rate():
    assert pcm16.frame_bytes(24000) == 960
    assert pcm16.frame_bytes(11025) % 2 == 0
    assert pcm16.frame_bytes(8) == 2


def test_stretching_keeps_the_length_in_time():
    assert pcm16.stretch(b"", 8000, 16000) == b""
    assert len(pcm16.stretch(bytes(1600), 8000, 24000)) == 4800
