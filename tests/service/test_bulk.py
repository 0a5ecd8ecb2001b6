"""Many rows in one statement: what goes in comes out, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from nudges import bulk
from nudges.models.family import Family, KeyDate, Parent
from tests.support.factories import a_parent, people

__all__ = ["people"]

ODD = ("a\tb", "line\nbreak\r", "back\\slash", "\\N", "\\.", "ñ – 🙂", "", "plain")


def rows_of(model):
    return model.metadata.tables[model.__tablename__]


def test_every_character_comes_back_sealed_or_not(session, people, now):
    rows = [
        {"program_id": people.program.id, "code": text, "notes": notes, "created_at": now}
        for text, notes in zip(ODD, (*ODD[1:], None), strict=True)
    ]
    bulk.insert_rows(session.connection(), rows_of(Family), rows)
    added = session.execute(select(Family.code, Family.notes).where(Family.id != people.family.id)).all()
    assert {tuple(row) for row in added} == {(row["code"], row["notes"]) for row in rows}


def test_instants_days_and_nothing_come_back_as_they_were(session, people, now):
    parent = a_parent(session, people.family, now=now)
    at = datetime(2025, 3, 9, 7, 30, 15, 123456, tzinfo=UTC)
    given = [(1, at, date(2025, 3, 9)), (2, at, None)]
    rows = [
        {"parent_id": parent.id, "kind": "session", "nth": nth, "at": when, "first_at": when, "on_date": day}
        | {"status": "set"}
        for nth, when, day in given
    ]
    bulk.insert_rows(session.connection(), rows_of(KeyDate), rows)
    stored = session.scalars(select(KeyDate).where(KeyDate.parent_id == parent.id).order_by(KeyDate.nth)).all()
    assert [(row.nth, row.at, row.on_date) for row in stored] == given


def test_a_column_that_the_model_would_fill_must_be_named(session, people, now):
    with pytest.raises(ValueError, match="key_dates: name nth, status in each row"):
        bulk.insert_rows(session.connection(), rows_of(KeyDate), [{"parent_id": 1, "kind": "session", "at": now}])


def test_a_row_that_may_not_be_is_refused_like_any_other(session, people, now):
    row = {"program_id": people.program.id, "code": people.family.code, "notes": None, "created_at": now}
    with pytest.raises(IntegrityError):
        bulk.insert_rows(session.connection(), rows_of(Family), [row])


def test_no_rows_are_no_statement(session):
    bulk.insert_rows(session.connection(), rows_of(Parent), [])
