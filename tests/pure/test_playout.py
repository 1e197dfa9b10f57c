"""What waits for speech comes when the person hears it: in order, not before, and always."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecat_tavus.speech.playout import Playout
from pipecat_tavus.speech.speech import Speech

RATE = 100


def pcm(secs):
    return b"\1\1" * round(secs * RATE)


def approx(value):
    return pytest.approx(value, abs=1e-9)


def playout(lag=None, **more):
    """A conversation in which the replica spoke before, with a lag, or never."""
    speech = Speech(**more)
    if lag is not None:
        speech.hand_over(-100.0, pcm(0.1), RATE)
        speech.replica_started(-100.0 + lag)
        speech.replica_stopped(-99.0)
    return speech, Playout[str](speech)


def say(speech, line, at, secs, item, id=None):
    """Speech of one frame, as a delivery hands it over."""
    speech.hand_over(at, pcm(secs), RATE, id)
    line.put(at, item, secs=secs)


def popped(line, now):
    items = []
    while (item := line.pop(now)) is not None:
        items.append(item)
    return items


def moments(line, now):
    """All that waits, and when it comes, if nothing happens any more."""
    out = []
    for _ in range(10_000):
        out += [(now, item) for item in popped(line, now)]
        at = line.next_at()
        assert (at is None) == (not line)
        if at is None:
            return out
        assert at > now, "it would be looked at again and again"
        now = at
    raise AssertionError("it never comes")


def test_nothing_waits_at_first():
    _, line = playout()
    assert not line and line.next_at() is None and line.pop(1.0) is None
    assert line.cut(1.0) == ([], None)


def test_what_belongs_to_no_speech_comes_at_once():
    _, line = playout()
    line.put(1.0, "a")
    assert line and line.next_at() == 1.0
    assert popped(line, 1.0) == ["a"]


def test_audio_and_what_follows_it_come_when_it_was_heard():
    speech, line = playout(lag=0.5)
    line.put(1.0, "begin", opens=True)
    say(speech, line, 1.0, 0.5, "one")
    say(speech, line, 1.5, 0.5, "two")
    line.put(2.0, "after")
    assert popped(line, 1.5) == []
    speech.replica_started(1.7)
    speech.replica_stopped(2.65)
    assert moments(line, 1.7) == [
        (1.7, "begin"), (approx(2.2), "one"), (2.65, "two"), (2.65, "after")
    ]  # fmt: skip


def test_speech_handed_over_ahead_of_its_time_comes_at_its_time():
    speech, line = playout(follows_replica=False)
    for n in range(3):
        say(speech, line, 0.0, 1.0, n)
    assert moments(line, 0.0) == [(1.0, 0), (2.0, 1), (3.0, 2)]


def test_the_end_waits_for_the_replicas_word_and_not_for_ever():
    speech, line = playout(lag=0.5)
    say(speech, line, 1.0, 1.0, "one")
    line.put(2.0, "end", closes=True)
    speech.replica_started(1.5)
    assert popped(line, 2.5) == ["one"]
    assert moments(line, 2.5) == [(3.0, "end")]


def test_speech_of_a_silent_replica_comes_when_it_is_given_up():
    speech, line = playout()
    say(speech, line, 1.0, 1.0, "one")
    assert moments(line, 1.0) == [(2.5, "one")]


def test_speech_that_is_never_handed_over_is_given_up():
    _, line = playout(lag=0.5)
    line.put(1.0, "begin", opens=True)
    assert moments(line, 1.0) == [(2.0, "begin")]


def test_an_early_request_makes_nobody_look_again_and_again():
    speech, line = playout(lag=0.5)
    say(speech, line, 0.0, 5.0, "long")
    speech.replica_started(0.5)
    speech.pending(1.0)
    assert moments(line, 4.0) == [(5.5, "long")]


def test_audio_belongs_to_what_was_handed_over_even_if_more_is_about_to_be():
    speech, line = playout(lag=0.5)
    speech.hand_over(0.0, pcm(1.0), RATE)
    speech.replica_started(0.5)
    line.request(0.9)
    line.put(0.9, "one", secs=1.0)
    assert moments(line, 0.9) == [(1.5, "one")]


# Timed items: words.


def test_words_come_in_their_time_as_late_as_the_speech():
    speech, line = playout(lag=0.5)
    line.request(1.0)
    line.put(1.0, "begin", opens=True)
    say(speech, line, 1.0, 2.0, "audio")
    speech.replica_started(1.6)
    line.put_timed("one", 1.2)
    line.put_timed("two", 2.0)
    # Of one time, but for what reading a clock takes.
    line.put_timed("also two", 1.999)
    assert moments(line, 1.6) == [
        (1.6, "begin"), (approx(1.8), "one"), (approx(2.6), "two"), (approx(2.6), "also two"),
        (approx(3.6), "audio"),
    ]  # fmt: skip


def test_words_wait_for_no_later_speech_that_was_handed_over_ahead_of_its_time():
    speech, line = playout(lag=0.5)
    speech.hand_over(0.0, pcm(2.0), RATE, "a")
    speech.replica_started(0.5, "a")
    speech.hand_over(0.1, pcm(2.0), RATE, "b")
    speech.pending(0.2)
    line.put_timed("one", 1.0)
    line.put_timed("two", 3.0)
    line.put_timed("three", 4.1)
    assert popped(line, 1.6) == ["one"]
    speech.replica_stopped(2.5, "a")
    speech.replica_started(2.7, "b")
    assert popped(line, 3.6) == []
    assert popped(line, 3.8) == ["two"]
    speech.replica_stopped(4.7, "b")
    # It is of what is still to come, though that is late.
    speech.pending(4.6)
    assert popped(line, 4.9) == []
    speech.hand_over(5.0, pcm(1.0), RATE, "c")
    speech.replica_started(5.6, "c")
    assert popped(line, 5.5) == []
    assert popped(line, 5.6) == ["three"]


def test_words_of_held_speech_are_as_late_as_it_was_held():
    speech, line = playout(follows_replica=False)
    line.request(1.0)
    line.request(3.0)
    line.put(5.0, "begin", opens=True)
    line.put_timed("word", 1.5)
    say(speech, line, 5.0, 2.0, "audio")
    assert moments(line, 5.0) == [(5.0, "begin"), (5.5, "word"), (7.0, "audio")]


def test_words_of_the_next_speech_are_not_held_like_the_first():
    speech, line = playout(follows_replica=False)
    line.request(1.0)
    say(speech, line, 5.0, 1.0, "audio")
    line.put(6.0, "end", closes=True)
    assert popped(line, 6.0) == ["audio", "end"]
    line.request(8.0)
    say(speech, line, 8.0, 1.0, "more")
    line.put_timed("word", 8.5)
    assert moments(line, 8.0) == [(8.5, "word"), (9.0, "more")]


def test_an_end_within_speech_ends_no_request():
    speech, line = playout(follows_replica=False)
    line.request(1.0)
    say(speech, line, 5.0, 1.0, "audio")
    line.put(5.0, "end", closes=True)
    say(speech, line, 5.0, 1.0, "more")
    assert popped(line, 6.0) == ["audio", "end"]
    line.put_timed("word", 2.5)
    assert moments(line, 6.0) == [(6.5, "word"), (7.0, "more")]


def test_a_word_without_speech_comes_at_its_time():
    _, line = playout()
    line.put_timed("word", 3.0)
    assert moments(line, 1.0) == [(3.0, "word")]


def test_a_word_of_speech_to_come_is_not_before_its_time():
    speech, line = playout(lag=0.5)
    speech.pending(0.0)
    line.put_timed("word", 4.0)
    assert moments(line, 0.0) == [(4.0, "word")]


def test_at_one_moment_the_line_goes_first():
    speech, line = playout(follows_replica=False)
    say(speech, line, 0.0, 1.0, "audio")
    line.put_timed("word", 1.0)
    assert popped(line, 1.0) == ["audio", "word"]


# Interruptions.


def test_an_interruption_drops_what_was_not_heard_and_tells_what_was():
    speech, line = playout(lag=0.5)
    line.request(0.0)
    say(speech, line, 0.0, 1.0, "one")
    say(speech, line, 1.0, 1.0, "two")
    line.put(1.0, "end", closes=True)
    line.put_timed("soon", 1.8)
    line.put_timed("late", 1.9)
    speech.replica_started(0.5)
    assert popped(line, 1.75) == ["one"]
    dropped, partial = line.cut(1.75)
    assert dropped == ["two", "end", "soon", "late"]
    assert partial == ("two", approx(0.25))
    assert not line and line.next_at() is None and line.pop(9.0) is None


def test_nothing_of_speech_that_was_not_begun_was_heard():
    speech, line = playout(lag=0.5)
    say(speech, line, 0.0, 1.0, "one")
    line.put(0.5, "begin", opens=True)
    assert line.cut(0.6) == (["one", "begin"], None)


def test_what_was_heard_is_known_while_more_speech_awaits_its_start():
    speech, line = playout(lag=0.7)
    say(speech, line, 0.0, 1.0, "one")
    speech.replica_started(0.7)
    say(speech, line, 1.4, 1.0, "two")
    assert line.cut(1.5).partial == ("one", approx(0.8))


def test_what_was_heard_whole_is_no_part():
    speech, line = playout(lag=0.5)
    say(speech, line, 0.0, 1.0, "one")
    speech.replica_started(0.5)
    assert line.cut(1.6) == (["one"], None)
    assert speech.last is None


def test_what_waits_without_speech_is_dropped_as_well():
    _, line = playout()
    line.put(1.0, "a")
    assert line.cut(1.0) == (["a"], None)


def test_words_after_an_interruption_are_not_held_like_those_before():
    speech, line = playout(follows_replica=False)
    line.request(0.0)
    say(speech, line, 5.0, 1.0, "old")
    line.cut(5.5)
    line.request(6.0)
    say(speech, line, 6.0, 1.0, "new")
    line.put_timed("word", 6.5)
    assert moments(line, 6.0) == [(6.5, "word"), (7.0, "new")]


def test_what_comes_after_speech_was_heard_waits_no_more():
    speech, line = playout(lag=1.0)
    say(speech, line, 0.0, 2.0, "audio")
    speech.replica_started(1.0)
    line.put(2.1, "right behind it")
    assert moments(line, 2.1) == [(approx(3.0), "audio"), (approx(3.0), "right behind it")]
    line.put(3.2, "later")
    assert popped(line, 3.2) == ["later"]


def test_long_speech_leaves_nothing_behind():
    speech, line = playout(follows_replica=False)
    for at in range(0, 100, 2):
        say(speech, line, at, 1.0, at)
        line.put_timed(f"word {at}", at + 1.5)
        assert popped(line, at + 1.9) == [at, f"word {at}"]
    assert len(speech._stretches) <= 3


# Whatever happens.

ids = st.sampled_from([None, None, "a", "b", "c"])
secs = st.sampled_from([0.0, 0.02, 0.1, 0.5, 3.0])
OPS = st.one_of(
    st.tuples(st.just("request")),
    st.tuples(st.just("hand_over"), secs, st.booleans(), ids),
    st.tuples(st.just("say"), secs, st.booleans(), ids),
    st.tuples(st.just("put"), st.sampled_from(["", "opens", "closes", "opens closes"])),
    st.tuples(st.just("timed"), st.sampled_from([-1.0, 0.0, 0.3, 2.0])),
    st.tuples(st.just("started"), ids),
    st.tuples(st.just("stopped"), ids),
    st.tuples(st.just("replica"), st.booleans()),
    st.tuples(st.just("cut")),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.05, 0.2, 0.31, 0.6, 2.0, 20.0])),
)


@dataclass
class Drill:
    """A playout to which anything happens, and what must hold of it."""

    follows: bool
    now: float = 100.0
    number: int = 0
    stops: bool = False
    line: list[int] = field(default_factory=list)
    due: dict[int, float] = field(default_factory=dict)
    latest: float = 0.0

    def __post_init__(self):
        self.speech = Speech(follows_replica=self.follows)
        self.out = Playout[int](self.speech)

    def new(self, due):
        self.number += 1
        self.due[self.number] = due
        self.latest = max(self.latest, due)
        return self.number

    def put(self, secs=0.0, **more):
        last = None if more.get("opens") else self.speech.last
        ends = last.end if last and last.start is not None else self.now
        item = self.new(max(ends, self.now))
        self.line.append(item)
        self.out.put(self.now, item, secs=secs, **more)

    def hand_over(self, secs, loud, id):
        audio = pcm(secs) if loud else bytes(len(pcm(secs)))
        self.speech.hand_over(self.now, audio, RATE, id)
        self.latest = max(self.latest, self.speech.end or 0.0)

    def do(self, op, *args):
        if op == "request":
            self.out.request(self.now)
        elif op == "hand_over":
            self.hand_over(*args)
        elif op == "say":
            self.hand_over(*args)
            self.put(secs=args[0])
        elif op == "put":
            self.put(opens="opens" in args[0], closes="closes" in args[0])
        elif op == "timed":
            item = self.new(self.now + args[0])
            self.out.put_timed(item, self.due[item])
        elif op == "started":
            lag = self.speech.replica_started(self.now, *args)
            assert lag is None or 0.0 <= lag <= 5.0
        elif op == "stopped":
            self.stops = True
            self.speech.replica_stopped(self.now, *args)
        elif op == "replica":
            self.speech.has_replica = args[0]
        elif op == "cut":
            waiting = set(self.due)
            dropped, partial = self.out.cut(self.now)
            assert set(dropped) == waiting and len(dropped) == len(waiting)
            assert partial is None or partial[0] in dropped
            assert not self.out
            self.due.clear()
            self.line.clear()
        else:
            self.now += args[0]

    def release(self):
        while (item := self.out.pop(self.now)) is not None:
            due = self.due.pop(item)
            assert self.stops or due <= self.now + 1e-9, "before its due"
            if item in self.line:
                assert self.line.pop(0) == item, "out of order"
        at = self.out.next_at()
        assert bool(self.out) == bool(self.due) == (at is not None)
        assert at is None or self.now < at < float("inf")
        return at

    def drain(self):
        # Words may be late by as much as speech was held; nothing waits for longer than the
        # audio takes, a start that is just believed, and the patience with start and end.
        bound = max(self.latest, self.now) + (self.now - 100.0) + 5.0 + 0.5 + 0.5 + 1.5
        while (at := self.release()) is not None:
            assert at <= bound, "it hangs"
            self.now = at


@settings(max_examples=600, deadline=None)
@given(follows=st.booleans(), ops=st.lists(st.tuples(OPS, st.booleans()), max_size=60))
def test_whatever_happens_all_comes_in_order_not_before_its_due_and_in_time(follows, ops):
    drill = Drill(follows)
    for op, release in ops:
        drill.do(*op)
        if release:
            drill.release()
    drill.drain()
    assert drill.line == []
