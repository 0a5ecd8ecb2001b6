"""Importing many families: the rules of the enrollment form, checked for all rows first, then stored in bulk.

1. `check` holds what was read (families.intake_file) against the program: who is there already, counselors, sequences.
2. `store` writes the rows that are well, a few hundred in one transaction, and returns; called again it goes on.
   A parent whom the same file brought before is left alone, so a file may be imported as often as one likes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from itertools import count
from typing import Any, Final

from sqlalchemy import Table, func, insert, select, text, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from nudges import languages, tasks
from nudges.db import Base, blind_index
from nudges.families import enrolling, programs, snapshots
from nudges.families.intake_file import Fault, IntakeError, Row
from nudges.ledger import record
from nudges.library import signing, texts
from nudges.models.family import Consent, Family, FamilyStaff, ImportedParent, KeyDate, Parent
from nudges.models.program import Program, Staff
from nudges.models.safety import Hold, Task
from nudges.models.sequences import Enrollment, SequenceVersion
from schedules import entry, lifecycle, localtime, profile, state, values
from schedules.localtime import to_utc

BATCH: Final = 500  # rows in one transaction: a STOP waits no longer than one batch takes
_MANY_TIMES: Final = 20  # what one batch adds: so large a table is read by its index
STAFF_STARTED: Final = frozenset({"staff", "therapist", "clinician"})  # of a sequence's `enrolled_by`
_AT_ONCE: Final = 400  # values in one IN list


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A row with what the program knows about it. `family_id` is none for a family that is still to be made."""

    row: Row
    external_index: str
    phone_index: str
    counselor_id: int
    family_id: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """Rows that can be imported, how many were imported before, and what is wrong with the others.

    Rows that name their family come first: a free code that is given out can then be nobody's in this file.
    """

    ready: tuple[Known, ...]
    already: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """How a parent begins in one sequence: what is stored for everybody with the same profile."""

    key: str
    version: SequenceVersion
    state: Mapping[str, Any]
    asks: str | None  # what staff must still enter


@dataclass(frozen=True, kw_only=True, slots=True)
class Beginning:
    """All sequences that a parent begins with, and their pace then."""

    profile: Mapping[str, Any]
    pace: Mapping[str, Any]
    starts: tuple[Start, ...]


def refuse_unsigned_crisis(session: Session, program_id: int) -> None:
    """Raises IntakeError when nobody can be enrolled at all. Asked in production."""
    try:
        enrolling.refuse_unsigned_crisis(session, program_id)
    except enrolling.EnrollError as error:
        raise IntakeError(str(error)) from None


def check(session: Session, program: Program, rows: Sequence[Row], *, now: datetime) -> Checked:
    """Hold rows against the program."""
    return _Checking(session, program, now).check(rows)


class _Checking:
    """One check of a file."""

    def __init__(self, session: Session, program: Program, now: datetime) -> None:
        self.session, self.program, self.now = session, program, now
        self.faults: list[Fault] = []
        self.beginnings = Beginnings(session, program, now)
        staff = select(Staff).where(Staff.program_id == program.id, Staff.is_active)
        self.counselors = {person.email: person.id for person in session.scalars(staff)}

    def check(self, rows: Sequence[Row]) -> Checked:
        known = [(row, blind_index(f"import:{row.external_id}"), blind_index(row.phone)) for row in rows]
        imported = self._imported({external for _, external, _ in known})
        phones = self._phones({phone for _, external, phone in known if external not in imported})
        families = self._families({row.family for row, external, _ in known if row.family and external not in imported})
        held = self._held(set(families.values()))
        looked_after = self._looked_after(set(families.values()))
        ready = []
        for row, external, phone in known:
            if external in imported:
                continue
            counselor_id = self.counselors.get(row.counselor)
            family_id = families.get(row.family)
            faults = [*self._people(row, counselor_id, phone in phones), *self._sequences(row)]
            if family_id is not None:
                is_theirs = (family_id, counselor_id) in looked_after
                faults += self._family(row, is_theirs=is_theirs, is_held=family_id in held)
            self.faults += faults
            if not faults and counselor_id is not None:
                ready.append(
                    Known(
                        row=row,
                        external_index=external,
                        phone_index=phone,
                        counselor_id=counselor_id,
                        family_id=family_id,
                    )
                )
        already = sum(external in imported for _, external, _ in known)
        ready.sort(key=lambda one: (not one.row.family, one.row.line))
        return Checked(ready=tuple(ready), already=already, faults=tuple(self.faults))

    def _people(self, row: Row, counselor_id: int | None, is_enrolled: bool) -> Iterator[Fault]:
        if counselor_id is None:
            mend = "Write the e-mail that the counselor signs in with, or make the account first."
            yield Fault(line=row.line, column="counselor", wrong="Nobody here has this e-mail.", mend=mend)
        if is_enrolled:
            wrong = "This phone number is enrolled already, or its owner asked never to be texted again."
            yield Fault(line=row.line, column="phone", wrong=wrong, mend="Take the row out.")

    def _family(self, row: Row, *, is_theirs: bool, is_held: bool) -> Iterator[Fault]:
        if not is_theirs:
            wrong = "There is a family with this code already, and this counselor does not look after it."
            mend = "Choose another code, or assign the family to them first."
            yield Fault(line=row.line, column="family", wrong=wrong, mend=mend)
        if is_held:
            wrong = "Everything is held for this family."
            yield Fault(
                line=row.line, column="family", wrong=wrong, mend="Release the hold first, then import this row."
            )

    def _sequences(self, row: Row) -> Iterator[Fault]:
        for wrong in self.beginnings.refusals(row):
            yield Fault(line=row.line, column="sequences", wrong=wrong, mend="")

    def _imported(self, wanted: set[str]) -> set[str]:
        own = ImportedParent.program_id == self.program.id
        return {
            index
            for (index,) in self._found(ImportedParent.external_index, wanted, (ImportedParent.external_index,), own)
        }

    def _phones(self, wanted: set[str]) -> set[str]:
        own = Parent.program_id == self.program.id
        return {index for (index,) in self._found(Parent.phone_index, wanted, (Parent.phone_index,), own)}

    def _families(self, wanted: set[str]) -> dict[str, int]:
        own = Family.program_id == self.program.id
        return dict(self._found(Family.code, wanted, (Family.code, Family.id), own))

    def _held(self, wanted: set[int]) -> set[int]:
        unreleased = Hold.released_at.is_(None)
        return {family_id for (family_id,) in self._found(Hold.family_id, wanted, (Hold.family_id,), unreleased)}

    def _looked_after(self, wanted: set[int]) -> set[tuple[int, int]]:
        shown = (FamilyStaff.family_id, FamilyStaff.staff_id)
        return {(row[0], row[1]) for row in self._found(FamilyStaff.family_id, wanted, shown, true())}

    def _found(
        self, column: InstrumentedAttribute[Any], wanted: Iterable[Any], shown: Sequence[Any], condition: Any
    ) -> Iterator[Any]:
        values = sorted(wanted)
        for start in range(0, len(values), _AT_ONCE):
            rows = select(*shown).where(condition, column.in_(values[start : start + _AT_ONCE]))
            yield from self.session.execute(rows)


class Beginnings:
    """How parents begin: worked out once for rows with the same profile, dates and sequences."""

    def __init__(self, session: Session, program: Program, now: datetime) -> None:
        self.session, self.program, self.now = session, program, now
        self.policy = snapshots.policy_of(program)
        self._live: dict[str, SequenceVersion | None] = {}
        self._unfit: dict[str, str | None] = {}
        self._known: dict[tuple[object, ...], tuple[Beginning, list[str]]] = {}

    def refusals(self, row: Row) -> list[str]:
        """Why this row's sequences cannot begin, in words."""
        return self._of(row)[1]

    def of(self, row: Row) -> Beginning:
        """What to store for a row without refusals."""
        return self._of(row)[0]

    def _of(self, row: Row) -> tuple[Beginning, list[str]]:
        alike = (row.profile_key, row.language, row.sequences, row.dates)
        if alike not in self._known:
            self._known[alike] = self._begin(row)
        return self._known[alike]

    def _begin(self, row: Row) -> tuple[Beginning, list[str]]:
        thread, now = _thread(row), localtime.minute(self.now)
        refused: list[str] = []
        begun: list[tuple[str, SequenceVersion, str | None]] = []
        welcome = (enrolling.WELCOME,) if self._version(enrolling.WELCOME) is not None else ()
        for key in dict.fromkeys((*welcome, *row.sequences)):
            why_not = self._why_not(key, thread)
            version = self._version(key)
            if why_not is not None or version is None:
                refused.append(why_not or f"This program has no published sequence {key}.")
                continue
            sequence = snapshots.sequence_of(self.session, version.id)
            thread = lifecycle.enroll(thread, sequence, enrollment_id=key, now=now, policy=self.policy)
            begun.append((key, version, entry.missing_date(sequence, thread)))
        thread = lifecycle.at(thread, self.policy, now)
        states = {e.id: state.enrollment_to_json(e) for e in thread.enrollments}
        starts = [Start(key=key, version=version, state=states[key], asks=asks) for key, version, asks in begun]
        pace = state.pace_to_json(thread.pace)
        return Beginning(profile=row.profile, pace=pace, starts=tuple(starts)), refused

    def _why_not(self, key: str, thread: values.Thread) -> str | None:
        if key not in self._unfit:
            self._unfit[key] = self._unfit_for_all(key)
        if self._unfit[key] is not None:
            return self._unfit[key]
        version = self._version(key)
        assert version is not None
        sequence = snapshots.sequence_of(self.session, version.id)
        refusal = entry.refusal(sequence, thread, self.policy, localtime.minute(self.now))
        return None if refusal is None else refusal.words

    def _unfit_for_all(self, key: str) -> str | None:
        version = self._version(key)
        if version is None:
            return f"This program has no published sequence {key}."
        waiting = signing.waiting(self.session, self.program.id, texts.of_sequence(key, version.yaml))
        if waiting:
            return f"{key} cannot begin before its texts are signed off: {signing.in_words(waiting)}."
        sequence = snapshots.sequence_of(self.session, version.id)
        if key != enrolling.WELCOME and not STAFF_STARTED & {*sequence.enrolled_by}:
            return f"{key} begins by itself; staff do not start it."
        return None

    def _version(self, key: str) -> SequenceVersion | None:
        if key not in self._live:
            self._live[key] = programs.live_version(self.session, self.program.id, key)
        return self._live[key]


def _thread(row: Row) -> values.Thread:
    """A new parent, as the core sees them."""
    return values.Thread(
        profile=profile.parse({**row.profile, "pref_lang": languages.texts_for(row.language)}),
        status="active",
        key_dates=tuple(
            values.KeyDate(
                kind=given.kind,
                nth=given.nth,
                at=localtime.minute(given.at),
                status="set",
                date_only=given.on_date is not None,
            )
            for given in row.dates
        ),
    )


# ---------------------------------------------------------------- storing


def batches(ready: Sequence[Known]) -> Iterator[Sequence[Known]]:
    """Rows in portions for one transaction each, families undivided where they stand together."""
    for start in range(0, len(ready), BATCH):
        yield ready[start : start + BATCH]


def store(
    session: Session, program: Program, rows: Sequence[Known], *, by: int | None, now: datetime, above: int = 0
) -> int:
    """Store one portion. Rows that were imported meanwhile are left out. Returns how many parents were stored.

    Families without a code get the next free F-number higher than `above` (see intake_file.highest_code).
    Raises IntakeError when somebody enrolled one of these numbers meanwhile: check again.
    """
    session.flush()
    checked = check(session, program, [known.row for known in rows], now=now)
    if checked.faults:
        raise IntakeError(checked.faults[0].in_words())
    _Storing(session, program, now, by).store(checked.ready, above=above)
    return len(checked.ready)


class _Storing:
    """Bulk inserts of one portion: the rows of every table, collected, then written."""

    def __init__(self, session: Session, program: Program, now: datetime, by: int | None) -> None:
        self.session, self.program, self.now, self.by = session, program, now, by
        self.beginnings = Beginnings(session, program, now)
        self.rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.entries: list[record.Entry] = []
        self.families: dict[str, int] = {}
        self.links: set[tuple[int, int]] = set()

    def store(self, ready: Sequence[Known], *, above: int) -> None:
        if not ready:
            return
        self._ids = _take_ids(self.session, Parent, len(ready))
        self._family_ids = _take_ids(self.session, Family, len(ready))
        first = max(int(enrolling.next_code(self.session, self.program.id)[2:]), above + 1)
        self._codes = (f"F-{number}" for number in count(first))
        existing = sorted({known.family_id for known in ready if known.family_id is not None})
        links = select(FamilyStaff.family_id, FamilyStaff.staff_id).where(FamilyStaff.family_id.in_(existing))
        self.links = {(family_id, staff_id) for family_id, staff_id in self.session.execute(links)}
        for known in ready:
            self._add(known)
        for model in (Family, FamilyStaff, Parent, ImportedParent, Consent, KeyDate, Enrollment, Task):
            self._write(model)
        record.append_all(self.session, self.entries)

    def _write(self, model: type[Base]) -> None:
        table, rows = model.__table__, self.rows[model.__tablename__]
        assert isinstance(table, Table)
        if rows:
            self.session.execute(insert(model), rows)
        if rows and model in (Family, Parent):
            _look_anew(self.session, table, len(rows))

    def _add(self, known: Known) -> None:
        row = known.row
        family_id = self._family(known)
        parent_id = next(self._ids)
        beginning = self.beginnings.of(row)
        self.rows["parents"].append(
            {
                "id": parent_id,
                "program_id": self.program.id,
                "family_id": family_id,
                "name": row.name,
                "phone": row.phone,
                "phone_index": known.phone_index,
                "language": row.language,
                "profile": beginning.profile,
                "status": "active",
                "state": beginning.pace,
                "next_at": self.now,  # the planner works out when, from everything that is stored here
                "revision": 0,
                "created_at": self.now,
            }
        )
        self.rows["imported_parents"].append(
            {
                "program_id": self.program.id,
                "external_index": known.external_index,
                "parent_id": parent_id,
                "at": self.now,
            }
        )
        self._add_consent(row, parent_id)
        self._add_dates(row, parent_id)
        for start in beginning.starts:
            self._add_enrollment(start, family_id, parent_id)
        self._note(
            "parent.enrolled",
            family_id,
            parent_id,
            medium=row.medium,
            wording=row.wording,
            language=row.language,
            imported=True,
            sequences=[f"{start.key} {start.version.number}" for start in beginning.starts],
        )

    def _family(self, known: Known) -> int:
        code = known.row.family
        family_id = known.family_id or self.families.get(code)
        if family_id is None:
            family_id = next(self._family_ids)
            code = code or next(self._codes)
            self.families[code] = family_id
            self._note("family.created", family_id, None)
            self.rows["families"].append(
                {"id": family_id, "program_id": self.program.id, "code": code, "notes": None, "created_at": self.now}
            )
        link = (family_id, known.counselor_id)
        if link not in self.links:
            self.links.add(link)
            self.rows["family_staff"].append({"family_id": family_id, "staff_id": known.counselor_id})
        return family_id

    def _add_consent(self, row: Row, parent_id: int) -> None:
        agreed_at = to_utc(row.agreed_on, time(0), str(row.profile["timezone"]))
        self.rows["consents"].append(
            {
                "parent_id": parent_id,
                "event": "granted",
                "medium": row.medium,
                "wording_version": row.wording,
                "language": row.language,
                "staff_id": self.by,
                "how_recognised": f"imported; agreed on {row.agreed_on.isoformat()}",
                "at": min(agreed_at, self.now),
            }
        )

    def _add_dates(self, row: Row, parent_id: int) -> None:
        self.rows["key_dates"] += [
            {
                "parent_id": parent_id,
                "kind": given.kind,
                "nth": given.nth,
                "at": given.at,
                "first_at": given.at,
                "on_date": given.on_date,
                "status": "set",
            }
            for given in row.dates
        ]

    def _add_enrollment(self, start: Start, family_id: int, parent_id: int) -> None:
        self.rows["enrollments"].append(
            {
                "parent_id": parent_id,
                "sequence_key": start.key,
                "version_id": start.version.id,
                "status": "active",
                "state": start.state,
                "started_at": self.now,
            }
        )
        if start.asks is not None:
            self.rows["tasks"].append(
                tasks.row(
                    program_id=self.program.id,
                    family_id=family_id,
                    parent_id=parent_id,
                    kind="date",
                    words=start.asks,
                    now=self.now,
                )
            )

    def _note(self, action: str, family_id: int, parent_id: int | None, **details: Any) -> None:
        self.entries.append(
            record.Entry(
                at=self.now,
                actor=enrolling.actor(self.by),
                action=action,
                family_id=family_id,
                parent_id=parent_id,
                details=details,
            )
        )


def _take_ids(session: Session, model: type[Parent] | type[Family], wanted: int) -> Iterator[int]:
    """Ids that nobody else will get: from PostgreSQL's sequence, or after the last one where we hold the only lock."""
    if session.get_bind().dialect.name == "postgresql":
        ids = text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :wanted)")
        return iter(session.scalars(ids, {"table": model.__tablename__, "wanted": wanted}).all())
    return count((session.scalar(select(func.max(model.id))) or 0) + 1)


def _look_anew(session: Session, table: Table, added: int) -> None:
    """While PostgreSQL believes a table small, it checks each row that points at it by reading all of it; and it
    believes so until it is told, so a large import took ever longer."""
    if session.get_bind().dialect.name != "postgresql":
        return
    asked = text("SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)")
    known: float = session.scalars(asked, {"name": table.name}).one()
    if known < _MANY_TIMES * added:
        session.execute(text(f"ANALYZE {table.name}"))


def tidy(session: Session) -> None:
    """After a large import: without fresh figures PostgreSQL may not see that an index serves."""
    session.execute(text("ANALYZE"))
