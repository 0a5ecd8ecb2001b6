"""Instants that cannot have been: a clock that stood ahead wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schedules import pacing
from schedules.values import Kind, Mark, OpenQuestion, Pace, Topic

NOW = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)
AHEAD, BEFORE = NOW + timedelta(days=1), NOW - timedelta(days=1)


def a_mark(at, step):
    return Mark(at=at, kind=Kind.TIP, topic=Topic.CARE, sequence="CARE", step=step, cycle=1, counted=True)


def a_question(asked_at):
    return OpenQuestion(
        enrollment="1",
        sequence="TALK",
        step="TK-5",
        cycle=1,
        asked_at=asked_at,
        until=asked_at + timedelta(hours=72),
        counts_as_silence=True,
    )


def test_what_went_while_the_clock_stood_ahead_went_by_now():
    pace = Pace(marks=(a_mark(BEFORE, "CA-1"), a_mark(AHEAD, "CA-2")), last_talk_at=AHEAD, notice_at=BEFORE)
    mended = pacing.without_future(pace, NOW)
    assert [(mark.step, mark.at) for mark in mended.marks] == [("CA-1", BEFORE), ("CA-2", NOW)]
    assert (mended.last_talk_at, mended.notice_at) == (NOW, BEFORE)


def test_a_question_is_open_for_as_long_as_it_was_to_be():
    mended = pacing.without_future(Pace(question=a_question(AHEAD)), NOW)
    assert (mended.question.asked_at, mended.question.until) == (NOW, NOW + timedelta(hours=72))


def test_what_lies_ahead_by_its_nature_stays_and_so_does_a_pace_without_a_fault():
    pace = Pace(marks=(a_mark(BEFORE, "CA-1"),), question=a_question(BEFORE), wait_until=AHEAD, cool_until=AHEAD)
    assert pacing.without_future(pace, NOW) is pace
