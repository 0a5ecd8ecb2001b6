"""Figures of answered danger: durations from what happened, rules by what people said, drills left out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from nudges.alerts import acknowledging, corpus, figures, paging
from nudges.models.messages import OutboxEvent
from nudges.models.on_call import CorpusText
from nudges.models.phrases import Drill
from nudges.models.safety import Alert
from tests.support import factories
from tests.support.factories import a_parent
from tests.support.on_call import an_alert, on_the_rota

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def people(session, now):
    people = factories.people(session, now=now)
    on_the_rota(session, people, now, first="ana", backup="ben")
    return people


@pytest.fixture
def parent(session, people, now):
    return a_parent(session, people.family, now=now)


def of(session, people, now, **values):
    return figures.figures(session, people.program.id, since=values.get("since", now - HOUR), now=now + HOUR)


def a_reply(session, alert, parent, now, **moves):
    """A crisis reply with the instants (seconds after `now`) at which it came to each status."""
    row = factories.a_text(session, parent, now=now, category="crisis_reply", alert_id=alert.id)
    for status, seconds in moves.items():
        session.add(
            OutboxEvent(outbox_id=row.id, from_status="queued", to_status=status, reason="", at=now + seconds * SECOND)
        )
        row.status = status
    session.flush()
    return row


def test_an_alert_tells_when_everything_happened(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    a_reply(session, alert, parent, now + SECOND, accepted=0, sent=2, delivered=4)
    acknowledging.acknowledge(session, alert, people.ana.id, "", now + 90 * SECOND)
    acknowledging.resolve(session, alert, people.ana.id, "safe", "", now + 900 * SECOND)
    (times,) = figures.times_of(session, [alert])
    assert times.received_at == times.paged_at == now
    assert times.reply_queued_at == times.reply_handed_over_at == now + SECOND
    assert times.reply_delivered_at == now + 5 * SECOND
    assert times.acknowledged_at == now + 90 * SECOND
    assert times.resolved_at == now + 900 * SECOND
    assert (times.is_reply_lost, times.resolution) == (False, "safe")


def test_what_has_not_happened_is_none(session, people, now):
    alert = an_alert(session, people, now).alert
    (times,) = figures.times_of(session, [alert])
    assert (times.reply_queued_at, times.reply_delivered_at, times.acknowledged_at, times.resolved_at) == (None,) * 4


def test_median_and_p95_are_by_tier(session, people, now):
    for n in range(20):
        alert = an_alert(session, people, now, number=f"+1312555018{n}", tier="suicide_selfharm").alert
        acknowledging.acknowledge(session, alert, people.ana.id, "", now + (n + 1) * SECOND)
    an_alert(session, people, now, number="+13125550199", tier="harm_others")
    found = of(session, people, now)
    by_tier = {tier.tier: tier for tier in found.by_tier}
    assert by_tier["suicide_selfharm"].to_acknowledge == figures.Spread(count=20, median=10.5, p95=19.0)
    assert by_tier["harm_others"].to_acknowledge == figures.Spread(count=0, median=None, p95=None)
    assert (by_tier["harm_others"].unacknowledged, found.total.alerts) == (1, 21)


def test_lost_replies_and_pages_are_counted(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent).alert
    reply = a_reply(session, alert, parent, now, undelivered=3)
    paging.report_undelivered(session, reply, now)
    found = of(session, people, now)
    assert (found.undelivered_replies, found.total.undelivered) == (1, 1)


def test_the_false_alarm_rate_is_by_rule(session, people, now):
    real = an_alert(session, people, now, number="+13125550181", rules=["SI-1", "SI-2"]).alert
    false = an_alert(session, people, now, number="+13125550182", rules=["SI-2"]).alert
    an_alert(session, people, now, number="+13125550183", rules=["SI-2"])  # nobody has judged it yet
    acknowledging.resolve(session, real, people.ana.id, "safe", "", now)
    acknowledging.resolve(session, false, people.ana.id, "false_alarm", "a song", now)
    found = of(session, people, now)
    assert [(rule.rule, rule.alarms, rule.false_alarms, rule.rate) for rule in found.by_rule] == [
        ("SI-1", 1, 0, 0.0),
        ("SI-2", 2, 1, 0.5),
    ]
    assert (found.resolved, found.false_alarms) == (2, 1)


def test_alerts_are_counted_by_shift_and_many_are_marked(session, people, now):
    for n in range(6):
        an_alert(session, people, now, number=f"+1312555018{n}")
    shifts = of(session, people, now, since=now - 30 * HOUR).by_shift
    assert [(shift.staff_id, shift.alerts, shift.is_too_many) for shift in shifts][-1] == (people.ana.id, 6, True)
    assert sum(shift.alerts for shift in shifts) == 6


def test_texts_are_counted_by_level_and_the_window_and_drills_are_respected(session, people, now):
    an_alert(session, people, now - 3 * HOUR, number="+13125550181")
    drill = an_alert(session, people, now, number="+13125550182").alert
    session.add(Drill(program_id=people.program.id, alert_id=drill.id, started_at=now, answered_ms=1))
    session.flush()
    found = of(session, people, now)
    assert found.total.alerts == 0
    assert dict(found.texts_by_level) == {"crisis": 1, "check": 0, "ordinary": 0}


# ---------------------------------------------------------------- the corpus


def test_a_false_alarm_is_kept_sealed_with_its_reason_and_once(session, people, parent, now):
    alert = an_alert(session, people, now, parent=parent, body="this homework is killing me").alert
    acknowledging.resolve(session, alert, people.ana.id, "false_alarm", "an idiom", now)
    corpus.record_false_alarm(session, alert, staff_id=people.ana.id, reason="again", now=now)
    (row,) = corpus.corpus_rows(session, people.program.id, label="ordinary", origin="incident")
    assert (row.text, row.reason, row.staff_id) == ("this homework is killing me", "an idiom", people.ana.id)
    assert (row.inbound_id, row.language) == (alert.inbound_id, "en")
    raw = session.connection().exec_driver_sql("SELECT text, reason FROM crisis_corpus").one()
    assert all(value.startswith("v1.") for value in raw)


@pytest.mark.parametrize("outcome", [outcome for outcome in acknowledging.OUTCOMES if outcome != "false_alarm"])
def test_any_other_outcome_keeps_no_text(session, people, now, outcome):
    alert = an_alert(session, people, now).alert
    acknowledging.resolve(session, alert, people.ana.id, outcome, "a note", now)
    assert session.scalars(select(CorpusText)).all() == []
    assert session.get_one(Alert, alert.id).status == "resolved"


@pytest.mark.parametrize(
    "changes", [{"text": " "}, {"reason": ""}, {"label": "fine"}, {"origin": "elsewhere"}], ids=lambda c: next(iter(c))
)
def test_a_text_without_words_reason_label_or_origin_is_not_kept(session, people, now, changes):
    values = {"text": "a text", "label": "crisis", "origin": "phrase", "reason": "why", **changes}
    with pytest.raises(corpus.CorpusError):
        corpus.add_text(session, program_id=people.program.id, staff_id=people.dee.id, now=now, **values)
