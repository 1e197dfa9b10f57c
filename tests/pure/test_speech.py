"""Speech handed over: how much later it is heard, as the replica says, or does not say."""

import pytest

from pipecat_tavus.speech.speech import Speech

RATE = 100
INF = float("inf")


def pcm(secs, quiet=0.0):
    """Sound of a length, after some silence of it."""
    silent = round(quiet * RATE)
    return b"\0\0" * silent + b"\1\1" * (round(secs * RATE) - silent)


def say(speech, at, secs, id=None, quiet=0.0):
    """Hand speech over at once: its stretch."""
    speech.hand_over(at, pcm(secs, quiet), RATE, id)
    return speech.last


def heard(lag=0.5, at=0.0, secs=1.0, id=None):
    """A conversation in which one stretch was handed over, and is spoken with a lag."""
    speech = Speech()
    stretch = say(speech, at, secs, id)
    speech.replica_started(at + lag, id)
    return speech, stretch


def approx(value):
    return pytest.approx(value, abs=1e-9)


# Handing over.


def test_nothing_was_said_at_first():
    speech = Speech()
    assert (speech.last, speech.begun, speech.end, speech.is_confirmed) == (None, None, None, False)
    assert speech.next_at() == INF


def test_audio_begins_when_it_is_handed_over_or_behind_the_audio_before():
    speech = Speech()
    assert speech.hand_over(1.0, pcm(0.5), RATE) == 1.0
    assert speech.hand_over(1.2, pcm(0.5), RATE) == 1.5  # ahead
    assert speech.hand_over(2.03, pcm(0.5), RATE) == 2.0  # late within the jitter
    assert speech.hand_over(2.6, pcm(0.5), RATE) == 2.6  # a gap
    assert speech.end == approx(3.1)
    assert speech.last.start == 1.0


def test_a_pause_begins_another_stretch_and_a_short_gap_does_not():
    speech = Speech()
    first = say(speech, 0.0, 1.0)
    assert say(speech, 1.25, 1.0) is first
    assert say(speech, 2.6, 1.0) is not first


def test_another_id_begins_another_stretch_behind_the_first():
    speech = Speech()
    first = say(speech, 0.0, 1.0, "a")
    second = say(speech, 0.1, 1.0, "b")
    assert first is not second and second.start == 1.0 and not first.continued


def test_what_comes_after_the_replica_stopped_is_another_stretch():
    speech, first = heard(secs=0.2, lag=0.1)
    speech.replica_stopped(0.3)
    assert say(speech, 0.3, 1.0) is not first
    assert speech.last.heard_after() is None


def test_what_is_about_to_be_handed_over_is_one_stretch_until_it_is():
    speech = Speech()
    pending = speech.pending(1.0)
    assert speech.pending(2.0) is pending and pending.opened == 2.0
    assert speech.begun is None and speech.end is None
    assert say(speech, 2.5, 1.0) is pending is speech.begun and pending.start == 2.5
    assert speech.pending(3.0) is not pending
    assert speech.begun is pending and speech.end == 3.5


# When it is heard.


def test_it_is_heard_as_much_later_as_the_replica_starts_behind_its_sound():
    speech = Speech()
    stretch = say(speech, 1.0, 1.0, quiet=0.25)
    assert stretch.hears(1.5) == INF and not speech.is_confirmed
    assert speech.replica_started(1.75) == approx(0.5)
    assert speech.is_confirmed
    assert stretch.hears(1.5) == approx(2.0)
    assert stretch.hears(0.0) == approx(1.5)


def test_sound_is_looked_for_in_all_audio_of_a_stretch():
    speech = Speech()
    say(speech, 0.0, 0.5, quiet=0.5)
    say(speech, 0.5, 0.5, quiet=0.1)
    assert speech.replica_started(1.0) == approx(0.4)


def test_silence_alone_counts_from_its_start():
    speech = Speech()
    say(speech, 0.0, 0.5, quiet=0.5)
    assert speech.replica_started(0.3) == approx(0.3)


def test_a_replica_cannot_be_ahead():
    speech = Speech()
    say(speech, 1.0, 1.0, quiet=0.2)
    assert speech.replica_started(1.0) == 0.0


def test_what_was_never_handed_over_is_waited_for_a_second():
    speech = Speech()
    assert speech.pending(1.0).hears(1.0) == 2.0
    assert speech.last.hears(5.0) == 5.0
    # It asks for no look of its own: there is nothing that could be settled.
    assert speech.next_at() == INF
    speech.settle(9.0)
    assert speech.last.hears(1.0) == 2.0


def test_without_a_replica_it_is_heard_at_once():
    speech = Speech()
    speech.has_replica = False
    assert speech.pending(1.0).hears(1.0) == 1.0
    assert say(speech, 1.5, 1.0).hears(2.0) == 2.0
    assert speech.next_at() == INF


def test_where_the_replicas_word_does_not_count_it_is_heard_at_once():
    speech = Speech(follows_replica=False)
    stretch = say(speech, 1.0, 1.0)
    assert stretch.hears(1.5) == 1.5
    assert speech.replica_started(1.5) is None
    speech.replica_stopped(1.6)
    assert stretch.hears(1.8) == 1.8 and not speech.is_confirmed


# Patience.


def test_the_first_start_is_waited_for_and_then_no_other():
    speech = Speech()
    first = say(speech, 1.0, 0.5)
    assert speech.next_at() == 2.5
    speech.settle(2.4)
    assert first.hears(1.2) == INF
    speech.settle(2.5)
    assert first.hears(1.2) == 1.2 and speech.next_at() == INF
    # A replica that says nothing once says nothing ever.
    assert say(speech, 3.0, 1.0).hears(3.5) == 3.5


def test_a_replica_that_speaks_up_late_is_believed_from_then_on():
    speech = Speech()
    first = say(speech, 0.0, 1.0)
    speech.settle(1.5)
    assert speech.replica_started(2.0) == 2.0
    assert first.hears(0.5) == 2.5
    assert say(speech, 5.0, 1.0).hears(5.5) == INF


def test_a_later_start_is_waited_for_as_long_as_the_last_took_and_a_little():
    speech, _ = heard(lag=0.75)
    second = say(speech, 5.0, 1.0)
    assert speech.next_at() == 6.25
    speech.settle(6.2)
    assert second.heard_after() is None
    speech.settle(6.25)
    assert second.heard_after() == 0.75
    # The replica is not silent: the next one waits for its word again.
    assert say(speech, 9.0, 1.0).heard_after() is None


def test_the_end_waits_for_the_replicas_word():
    speech, stretch = heard(secs=1.0, lag=0.5)
    assert stretch.patience == 0.5
    speech.replica_stopped(1.6)
    assert stretch.patience == 0.0
    assert Speech().pending(0.0).patience == 0.0


# Stretches without a pause between them.


def continued(first_lag=None):
    speech = Speech()
    first = say(speech, 0.0, 0.5)
    if first_lag is not None:
        speech.replica_started(first_lag)
    speech.pending(0.5)
    return speech, first, say(speech, 0.6, 1.0)


@pytest.mark.parametrize("first_lag", [None, 0.4])
def test_speech_without_a_pause_is_heard_as_late_as_what_it_continues(first_lag):
    speech, first, second = continued(first_lag)
    assert first is not second
    if first_lag is None:
        assert second.hears(0.7) == INF and not second.is_confirmed()
        assert speech.replica_started(0.8) == 0.8
    lag = first_lag or 0.8
    assert first.heard_after() == second.heard_after() == lag
    assert second.is_confirmed() and speech.next_at() == INF
    assert (first.patience, second.patience) == (0.0, 0.5)


def test_a_third_stretch_continues_the_first():
    speech, first, second = continued()
    speech.pending(1.6)
    third = say(speech, 1.6, 1.0)
    assert second.continued and third.follows is first


def test_what_is_given_up_is_given_up_with_all_that_continues_it():
    speech, first, second = continued()
    assert speech.next_at() == 1.5
    speech.settle(2.1)
    assert first.heard_after() == second.heard_after() == 0.0 and second.shift is None


def test_a_very_long_line_of_stretches_is_no_harder():
    speech = Speech()
    speech.has_replica = False
    first = say(speech, 0.0, 1.0)
    first.shift = None
    speech.has_replica = True
    for n in range(1, 3000):
        speech.pending(n)
        say(speech, n, 1.0)
    assert speech.last.heard_after() is None
    speech.settle(3000)
    assert speech.last.heard_after() == 0.0 == first.heard_after()


def test_another_start_within_it_is_of_what_goes_on():
    speech, first, second = continued(0.4)
    assert speech.replica_started(1.2) == approx(0.6)
    assert first.heard_after() == 0.4 and second.heard_after() == approx(0.6)
    speech.pending(1.7)
    assert say(speech, 1.7, 1.0).heard_after() == approx(0.6)


def test_one_start_is_of_the_first_of_what_has_no_pause_even_if_late():
    speech, _ = heard(lag=0.5, secs=0.1)
    first = say(speech, 5.0, 0.5)
    speech.pending(5.5)
    second = say(speech, 5.6, 1.0)
    assert speech.replica_started(6.1) == approx(1.1)
    assert first.started_at == 6.1
    assert first.heard_after() == second.heard_after() == approx(1.1)


# Which stretch starts.


def test_the_first_start_is_of_what_waits_first_however_late():
    speech = Speech()
    first, second = say(speech, 0.0, 0.3), say(speech, 0.9, 1.0)
    assert speech.replica_started(1.0) == 1.0
    assert first.confirmed and second.heard_after() is None


def test_a_start_whose_speech_was_given_up_is_of_the_nearest():
    speech = Speech()
    first, second = say(speech, 0.0, 0.3), say(speech, 1.0, 1.0)
    speech.settle(9.0)
    assert speech.replica_started(1.1) == approx(0.1)
    assert second.started_at == 1.1 and first.heard_after() == 0.0


def test_a_lost_start_does_not_disturb_the_next():
    speech, _ = heard(lag=0.5)
    lost, last = say(speech, 2.0, 0.5), say(speech, 3.0, 1.0)
    assert speech.replica_started(3.6) == approx(0.6)
    assert last.started_at == 3.6
    assert lost.confirmed and lost.heard_after() == 0.0


def test_a_start_names_its_speech():
    speech, _ = heard(lag=0.5, id="a")
    second, third = say(speech, 2.0, 0.5, "b"), say(speech, 2.1, 0.5, "c")
    speech.replica_started(2.9, "b")
    assert second.confirmed and not third.confirmed
    # An id that is none of ours says nothing.
    assert speech.replica_started(3.0, "x") == approx(0.5)
    assert third.confirmed


def test_a_second_start_of_one_speech_is_not_the_next_ones():
    speech, _ = heard(lag=0.5, secs=2.0, id="a")
    ahead = say(speech, 0.1, 1.0, "b")
    speech.replica_stopped(0.9)
    assert speech.replica_started(1.9, "a") is None
    assert not ahead.is_confirmed()


def test_speech_is_not_spoken_long_before_its_time():
    speech, _ = heard(lag=0.5, secs=3.0, id="a")
    ahead = say(speech, 0.1, 1.0, "b")
    assert speech.replica_started(2.0) is None
    assert speech.replica_started(2.8) == 0.0
    assert ahead.confirmed


def test_a_start_long_after_all_speech_is_of_something_else():
    speech, _ = heard(lag=0.5)
    speech.replica_stopped(1.5)
    lost = say(speech, 5.0, 0.5)
    speech.settle(6.0)
    assert speech.replica_started(100.0) is None
    assert not lost.confirmed
    # Nobody waits for the next one as long as that.
    say(speech, 110.0, 1.0)
    assert speech.next_at() == 111.0


def test_what_was_stopped_does_not_start():
    speech, _, second = continued(0.4)
    speech.replica_stopped(2.0)
    assert second.stopped_at == 2.0
    assert speech.replica_started(2.5) is None


def test_what_is_not_handed_over_yet_does_not_start():
    speech = Speech()
    speech.pending(0.0)
    assert speech.replica_started(0.1) is None


# The replica stops.


def test_nothing_is_heard_after_the_replica_stopped():
    speech, stretch = heard(secs=1.0, lag=0.5)
    speech.replica_stopped(1.4)
    assert stretch.hears(0.6) == approx(1.1)
    assert stretch.hears(1.0) == 1.4
    assert not speech.is_confirmed
    speech.replica_stopped(1.6)
    assert stretch.stopped_at == 1.4


def test_a_stop_long_before_the_end_is_a_pause():
    speech, stretch = heard(secs=3.0, lag=0.5)
    speech.replica_stopped(1.0)
    assert stretch.paused and stretch.hears(3.0) == 3.5
    assert speech.is_confirmed and stretch.patience == 0.0


def test_a_stop_is_not_of_what_is_to_come():
    speech, first = heard(secs=1.0, lag=0.5, id="a")
    unheard = say(speech, 0.2, 1.0, "b")
    speech.replica_stopped(1.4)
    assert (first.stopped_at, unheard.stopped_at) == (1.4, None)
    speech.pending(1.5)
    speech.replica_stopped(1.5)


def test_a_stop_is_not_of_what_follows_and_is_not_heard_yet():
    speech, first, second = continued(0.4)
    speech.replica_stopped(0.9)
    assert first.stopped_at == 0.9 and second.stopped_at is None
    assert not second.paused


def test_a_stop_names_its_speech():
    speech, first = heard(secs=1.0, lag=0.5, id="a")
    second = say(speech, 0.2, 1.0, "b")
    speech.replica_started(1.3, "b")
    speech.replica_stopped(1.9, "a")
    assert first.stopped_at == 1.9 and second.stopped_at is None
    speech.replica_stopped(2.3, "somebody's")
    assert second.stopped_at == 2.3


# Interruptions.


def test_an_interruption_forgets_all_speech():
    speech, _ = heard()
    speech.cut(0.7)
    assert speech.last is None and speech.next_at() == INF and not speech.is_confirmed
    # The next begins when it is handed over, and how late the replica is stays known.
    assert say(speech, 0.8, 1.0).start == 0.8
    assert speech.next_at() == approx(1.8)


def test_a_start_just_after_an_interruption_may_be_of_what_was_interrupted():
    speech, _ = heard(lag=0.5)
    speech.cut(0.7)
    assert speech.is_stale(1.1) and not speech.is_stale(1.2)
    new = say(speech, 0.9, 1.0)
    assert speech.replica_started(1.0) is None and not new.confirmed
    assert speech.replica_started(1.19) == approx(0.29)


def test_a_start_after_an_interruption_that_names_its_speech_is_of_it():
    speech, _ = heard(lag=0.5, id="a")
    speech.cut(0.7)
    say(speech, 0.9, 1.0, "b")
    assert speech.replica_started(1.0, "b") == approx(0.1)


def test_what_was_heard_is_forgotten_but_for_the_last():
    speech = Speech()
    stretches = [say(speech, at, 0.1) for at in (0.0, 1.0, 2.0)]
    speech.forget()
    assert speech.replica_started(0.1) is None
    assert speech.last is stretches[-1]
    assert speech.replica_started(1.1) is not None
