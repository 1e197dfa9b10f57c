"""What of the replica's voice goes on, and when its word for it is true."""

import pytest

from pipecat_tavus import StartedSpeakingEvent, StoppedSpeakingEvent
from pipecat_tavus.speech.hearing import TAIL_SECS, Hearing

START = StartedSpeakingEvent(role="replica")
STOP = StoppedSpeakingEvent(role="replica")
CUT = StoppedSpeakingEvent(role="replica", interrupted=True)


class Room:
    """Sound and messages as they come, in pieces of 20 ms."""

    def __init__(self):
        self.now = 100.0
        self.told = []
        self.hearing = Hearing(self, lambda: self.now)

    def on_speaking(self, event, at=None):
        self.told.append((event.event_type.rpartition(".")[2], round(at or self.now, 2)))

    def sound(self, secs: float) -> float:
        return self._pieces(secs, True)

    def silence(self, secs: float) -> float:
        return self._pieces(secs, False)

    def nothing(self, secs: float) -> None:
        self._pieces(secs, None)

    def _pieces(self, secs, sounds) -> float:
        """For how many seconds it went on."""
        passed = 0
        for _ in range(round(secs / 0.02)):
            self.now += 0.02
            if sounds is not None:
                passed += self.hearing.take(sounds, 0.02)
            self.hearing.look()
        return round(passed * 0.02, 2)


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_sound_goes_on_and_a_little_of_the_silence_behind_it(room):
    assert room.silence(1) == 0
    assert room.sound(1) == 1
    assert room.silence(2) == pytest.approx(TAIL_SECS, abs=0.03)
    assert room.sound(0.5) == 0.5


def test_what_it_says_of_its_speaking_is_told_with_its_sound(room):
    room.hearing.on_speaking(START)
    room.nothing(0.2)
    room.sound(0.3)
    room.hearing.on_speaking(STOP)
    room.sound(0.2)
    room.silence(0.2)
    (started, began), (stopped, ended) = room.told
    assert (started, began) == ("started_speaking", 100.22)
    assert stopped == "stopped_speaking" and ended == pytest.approx(100.8, abs=0.03)


def test_words_of_its_that_come_behind_their_sound_are_told_at_once(room):
    room.sound(0.1)
    room.hearing.on_speaking(START)
    room.sound(0.2)
    room.nothing(0.2)
    room.hearing.on_speaking(STOP)
    assert room.told == [("started_speaking", 100.1), ("stopped_speaking", 100.5)]


def test_what_is_never_heard_is_not_told(room):
    room.hearing.on_speaking(START)
    room.hearing.on_speaking(STOP)
    room.nothing(2)
    room.hearing.on_speaking(START)
    room.sound(0.1)
    assert room.told == [("started_speaking", 102.02)]


def test_of_one_that_tells_nothing_the_sound_tells(room):
    room.sound(1)
    room.silence(0.2)
    room.sound(0.5)
    assert room.told == [("started_speaking", 100.02)]
    room.silence(1)
    room.sound(0.1)
    assert room.told[1:] == [("started_speaking", 102.72)]


@pytest.mark.parametrize("says_so", [True, False])
def test_what_is_interrupted_goes_on_no_more(room, says_so):
    room.sound(1)
    room.hearing.interrupt()
    assert room.sound(0.1) == 0
    if says_so:
        room.hearing.on_speaking(CUT)
    assert room.sound(0.3) == 0
    assert room.silence(0.12 if says_so else 0.32) == 0
    assert room.sound(1) == 1


def test_a_pause_between_words_does_not_end_what_is_interrupted(room):
    room.sound(1)
    room.hearing.interrupt()
    room.sound(0.1)
    room.silence(0.2)
    assert room.sound(0.3) == 0


def test_what_comes_late_of_what_is_interrupted_goes_on_no_more(room):
    room.sound(1)
    room.hearing.interrupt()
    room.hearing.on_speaking(CUT)
    room.nothing(0.15)
    assert room.sound(0.2) == 0
    room.nothing(0.22)
    assert room.sound(1) == 1


def test_one_that_will_not_be_interrupted_is_heard_in_the_end(room):
    room.sound(1)
    room.hearing.interrupt()
    assert room.sound(3) == pytest.approx(1.5, abs=0.03)


def test_an_interruption_in_silence_takes_little_of_what_is_said_next(room):
    room.sound(1)
    room.silence(1)
    room.hearing.interrupt()
    room.silence(0.1)
    assert room.sound(1) == pytest.approx(0.8, abs=0.03)
