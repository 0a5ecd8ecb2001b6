"""A file of families (CSV): what each column means, and reading it with every fault found at once.

One row is one parent. Rows with the same family code are caregivers of one family, and stay two sealed threads.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from nudges.families import fields, notation, profile_texts
from nudges.families.consent import STAFF_MEDIA, WORDING_VERSION
from nudges.families.enrolling import code_fault
from nudges.families.fields import DateGiven
from nudges.families.phones import PhoneError, to_e164
from nudges.languages import LANGUAGES
from schedules import profile as profiles

MOST_BYTES: Final = 20_000_000
MOST_ROWS: Final = 100_000
PROBLEM: Final = "problem"  # the column that a file of rejected rows has more; ignored when it comes back
NEEDED: Final = tuple(column.name for column in fields.COLUMNS if column.is_needed)
_PROFILE: Final = (*(field.name for field in fields.at_door(fields.FILE)), "child_born")
_OWN: Final = tuple(column.name for column in fields.COLUMNS if not column.is_needed and column.name not in _PROFILE)
COLUMNS: Final = (*NEEDED, *_OWN, *_PROFILE, *(given.name for given in fields.DATES))
_SHOWN: Final = (
    "timezone",
    "role",
    "contact_hours",
    "busy_hours",
    "dinner_time",
    "activities",
    "quiet_days",
    "no_school",
)
_EXAMPLES: Final[tuple[Mapping[str, str], ...]] = (
    {column.name: column.example for column in fields.COLUMNS}
    | {name: fields.BY_NAME[name].example for name in _SHOWN}
    | {"session_1": "2025-03-13 16:00"},
    {
        "external_id": "case-4411-b",
        "counselor": "ana@clinic.example",
        "name": "Luis Invented",
        "phone": "+1 312 555 0143",
        "language": "en",
        "consent": "in_person",
        "consent_on": "2025-02-20",
        "family": "F-4411",
        "role": "other_parent",
        "age_band": "9-12",
    },
)


class IntakeError(ValueError):
    """The file as a whole cannot be read, or nobody can be enrolled now; the message says what to mend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong: where (line of the file, column), what, and how to mend it."""

    line: int
    column: str
    wrong: str
    mend: str

    def in_words(self) -> str:
        place = f"line {self.line}" + (f", {self.column}" if self.column else "")
        return f"{place}: {self.wrong} {self.mend}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One parent, as the file has them, without faults of its own."""

    line: int
    external_id: str
    family: str  # a code such as F-4411; empty for a family of their own with the next free code
    counselor: str  # an e-mail in lower case
    name: str
    phone: str  # E.164
    language: str
    profile: Mapping[str, Any]
    profile_key: int  # equal for rows with the same profile
    medium: str
    agreed_on: date
    wording: str
    sequences: tuple[str, ...]
    dates: tuple[DateGiven, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a file holds: rows without faults, faults by line and column, and every record as it came."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]
    header: tuple[str, ...]
    records: Mapping[int, Sequence[str]]  # by line


def template() -> str:
    """A file to fill in: the columns, and two invented parents of one family to take out again."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_EXAMPLES)
    return out.getvalue()


def read(content: bytes, *, country: str, timezone: str, today: date) -> Reading:
    """Read a whole file. `timezone` stands where a row has none. Raises IntakeError for what is no such file."""
    header, records = _records(_text(content))
    reader = _Reader(header, country=country, timezone=timezone, today=today)
    for line, cells in records.items():
        reader.take(line, cells)
    return Reading(
        rows=tuple(reader.rows), faults=tuple(sorted(reader.faults, key=_place)), header=header, records=records
    )


def rejected(reading: Reading, faults: Sequence[Fault]) -> str:
    """The records with faults as they came, and one more column that says what is wrong."""
    problems: dict[int, list[str]] = {}
    for fault in faults:
        problems.setdefault(fault.line, []).append(f"{fault.column}: {fault.wrong} {fault.mend}".strip(": "))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    kept = [index for index, name in enumerate(reading.header) if name != PROBLEM]
    writer.writerow([*(reading.header[index] for index in kept), PROBLEM])
    for line, cells in reading.records.items():
        if line in problems:
            padded = [*cells, *[""] * (len(reading.header) - len(cells))]
            writer.writerow(
                [*(padded[index] for index in kept), *padded[len(reading.header) :], " | ".join(problems[line])]
            )
    return out.getvalue()


def highest_code(reading: Reading) -> int:
    """The highest F-number that the file names, in faulty rows too: these codes are not given to anybody else."""
    if "family" not in reading.header:
        return 0
    index = reading.header.index("family")
    codes = (cells[index].strip().upper() for cells in reading.records.values() if index < len(cells))
    return max((int(code[2:]) for code in codes if code.startswith("F-") and code_fault(code) is None), default=0)


def _place(fault: Fault) -> tuple[int, int]:
    return fault.line, COLUMNS.index(fault.column) if fault.column in COLUMNS else -1


# ---------------------------------------------------------------- the file as a whole


def _text(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise IntakeError(f"The file is larger than {MOST_BYTES // 1_000_000} MB. Split it.")
    if content.startswith(b"PK"):
        raise IntakeError("This is a spreadsheet, not a CSV file. Save it as CSV (UTF-8) and choose that file.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise IntakeError(f"Line {line} is not UTF-8. Save the file as “CSV UTF-8”.") from None
    if "\0" in text:
        raise IntakeError("This is no CSV file: it holds zero bytes. Save it as CSV (UTF-8).")
    return text


def _records(text: str) -> tuple[tuple[str, ...], dict[int, Sequence[str]]]:
    """The header, and records by the line that they begin on."""
    text, skipped, delimiter = _begun(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    records: dict[int, Sequence[str]] = {}
    try:
        header = _named(next(rows, []))
        _check_header(header)
        line = rows.line_num + 1
        for cells in rows:
            if any(cell.strip() for cell in cells):
                records[line + skipped] = _without_empty_end(cells, len(header))
            line = rows.line_num + 1
    except csv.Error as error:
        raise IntakeError(
            f"Line {rows.line_num + skipped} cannot be read as CSV ({error}). Is a quotation mark missing?"
        ) from None
    if len(records) > MOST_ROWS:
        raise IntakeError(f"The file has more than {MOST_ROWS:,} rows. Split it.")
    return header, records


def _begun(text: str) -> tuple[str, int, str]:
    """The text from its header on, how many lines stand before, and what parts its cells.

    Excel writes empty lines, a first line such as `sep=;`, and tabs in the place of commas.
    """
    skipped, told = 0, ""
    while True:
        first, end, rest = text.partition("\n")
        mark = re.fullmatch(r"sep=(.)", first.strip("\r "), re.IGNORECASE)
        if not end or (first.strip() and mark is None):
            break
        text, skipped, told = rest, skipped + 1, mark[1] if mark else told
    return text, skipped, told or max(",;\t", key=first.count)


def _named(cells: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns, without the nameless ones at the end that a spreadsheet leaves."""
    return tuple(_without_empty_end([cell.strip().lower() for cell in cells], 0))


def _without_empty_end(cells: list[str], most: int) -> list[str]:
    """A record without the empty cells that it has more than the header."""
    end = len(cells)
    while end > most and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _check_header(header: tuple[str, ...]) -> None:
    if not any(header):
        raise IntakeError("The file is empty. Begin with the template: python -m nudges import-families --template")
    missing = [name for name in NEEDED if name not in header]
    unknown = [name for name in header if name not in COLUMNS and name != PROBLEM]
    twice = sorted({name for name in header if header.count(name) > 1})
    words = []
    if missing:
        words.append(f"These columns are missing: {', '.join(missing)}.")
    if unknown:
        words.append(f"These columns are not known: {', '.join(map(repr, unknown))}. Known ones: {', '.join(COLUMNS)}.")
    if twice:
        words.append(f"These columns are there twice: {', '.join(twice)}.")
    if words:
        raise IntakeError("Line 1, the names of the columns: " + " ".join(words))


# ---------------------------------------------------------------- one row


@dataclass(kw_only=True, slots=True)
class _Profile:
    """A profile that several rows share, with its faults by column."""

    data: dict[str, Any]
    key: int
    faults: list[tuple[str, str, str]] = field(default_factory=list)


class _Reader:
    """Reads rows one by one and keeps what is wrong, so that all faults show at once."""

    def __init__(self, header: tuple[str, ...], *, country: str, timezone: str, today: date) -> None:
        self.header, self.country, self.timezone, self.today = header, country, timezone, today
        self.columns = {name: header.index(name) for name in COLUMNS if name in header}
        self.profile_columns = [(name, self.columns[name]) for name in _PROFILE if name in self.columns]
        self.rows: list[Row] = []
        self.faults: list[Fault] = []
        self.line = 0
        self._cells: Sequence[str] = ()
        self._profiles: dict[tuple[str, ...], _Profile] = {}
        self._days: dict[str, date] = {}
        self._lines: dict[tuple[str, str], int] = {}  # where a phone or an external id stood first

    def take(self, line: int, cells: Sequence[str]) -> None:
        """Read one record: a row, or its faults."""
        self.line, self._cells = line, cells
        before = len(self.faults)
        if len(cells) > len(self.header):
            wrong = f"This row has {len(cells)} cells, the header {len(self.header)}."
            self.fault("", wrong, "Put quotation marks around a cell that holds a comma.")
            return
        profile = self.profile()
        row = Row(
            line=line,
            external_id=self.once("external_id", self.needed("external_id", "Give each row your own number for it.")),
            family=self.family(),
            counselor=self.needed("counselor", "Write the e-mail of the counselor's account.").lower(),
            name=self.needed("name", "Write the parent's name."),
            phone=self.once("phone", self.phone()),
            language=self.one_of("language", tuple(LANGUAGES)),
            profile=profile.data,
            profile_key=profile.key,
            medium=self.one_of("consent", list(dict(STAFF_MEDIA))),
            agreed_on=self.agreed_on(),
            wording=self.cell("consent_wording") or WORDING_VERSION,
            sequences=tuple(dict.fromkeys(self.cell("sequences").upper().replace(",", " ").replace(";", " ").split())),
            dates=self.dates(profile),
        )
        if len(self.faults) == before:
            self.rows.append(row)

    def fault(self, column: str, wrong: str, mend: str) -> None:
        self.faults.append(Fault(line=self.line, column=column, wrong=wrong, mend=mend))

    def cell(self, column: str) -> str:
        index = self.columns.get(column)
        return "" if index is None or index >= len(self._cells) else self._cells[index].strip()

    def needed(self, column: str, mend: str) -> str:
        value = self.cell(column)
        if not value:
            self.fault(column, "Nothing is there.", mend)
        elif len(value) > 200:
            self.fault(column, "This is longer than 200 characters.", "Shorten it.")
        return value

    def once(self, column: str, value: str) -> str:
        first = self._lines.setdefault((column, value), self.line)
        if value and first != self.line:
            mend = {"phone": "One phone can belong to one parent only."}.get(column, "Each row needs one of its own.")
            self.fault(column, f"Line {first} has the same.", mend)
        return value

    def one_of(self, column: str, allowed: Sequence[str]) -> str:
        value = self.cell(column).lower()
        if value not in allowed:
            wrong = "Nothing is there." if not value else f"{value!r} is not known here."
            self.fault(column, wrong, f"Write one of: {', '.join(allowed)}.")
        return value

    def family(self) -> str:
        code = self.cell("family").upper()
        wrong = code_fault(code) if code else None
        if wrong is not None:
            self.fault("family", wrong, "Leave it empty for the next free number.")
        return code

    def phone(self) -> str:
        written = self.cell("phone")
        if not written:
            self.fault("phone", "Nothing is there.", "Write the parent's mobile number.")
            return ""
        try:
            return to_e164(written, country=self.country)
        except PhoneError as error:
            self.fault("phone", *_split(str(error)))
            return ""

    def agreed_on(self) -> date:
        text = self.cell("consent_on")
        known = self._days.get(text)
        if known is not None:
            return known
        try:
            day = date.fromisoformat(notation.us_dates(text) if self.country == "US" else text)
        except ValueError:
            self.fault("consent_on", "This is no date.", "Write the day on which they agreed, such as 2025-02-20.")
            return self.today
        if day > self.today:
            self.fault("consent_on", "This day is still to come.", "Nobody is texted before they have agreed.")
            return day
        self._days[text] = day
        return day

    def profile(self) -> _Profile:
        cells = tuple(self.cell(name) for name, _ in self.profile_columns)
        known = self._profiles.get(cells)
        if known is None:
            known = self._profiles[cells] = self._new_profile(
                dict(zip((n for n, _ in self.profile_columns), cells, strict=True))
            )
        for column, wrong, mend in known.faults:
            self.fault(column, wrong, mend)
        return known

    def _new_profile(self, cells: Mapping[str, str]) -> _Profile:
        typed = {name: text for name, text in cells.items() if text and name in fields.BY_NAME}
        changes = profile_texts.changes({"timezone": self.timezone}, typed, country=self.country)
        given = {key: value for key, value in changes.values.items() if value is not None}
        found = _Profile(data={"timezone": self.timezone, **given}, key=len(self._profiles))
        found.faults += [(column, *_wrong_and_mend(words)) for column, words in changes.faults]
        if cells.get("child_born"):
            self._add_age(found, cells["child_born"])
        return found

    def _add_age(self, found: _Profile, born: str) -> None:
        """Only the band is kept, never the year."""
        if not (born.isascii() and born.isdigit() and len(born) == 4):
            found.faults.append(("child_born", "This is no year.", "Write the year only, such as 2014."))
            return
        age = self.today.year - int(born)
        band = next((band for band in profiles.DEFAULTS_BY_AGE if _in_band(age, band)), None)
        if band is None:
            wrong = f"A child of that year turns {age} this year."
            found.faults.append(("child_born", wrong, "The texts are for parents of children from 5 to 17."))
        elif found.data.get("age_band", band) != band:
            wrong = f"The year says {band}, the column age_band says {found.data['age_band']}."
            found.faults.append(("child_born", wrong, "Leave one of the two empty."))
        else:
            found.data["age_band"] = band

    def dates(self, profile: _Profile) -> tuple[DateGiven, ...]:
        written = [(asked, text) for asked in fields.DATES if (text := self.cell(asked.name))]
        if not written or profile.faults:
            return ()
        zone = str(profile.data["timezone"])
        return tuple(given for asked, text in written if (given := self._date(asked, text, zone)) is not None)

    def _date(self, asked: fields.DateField, text: str, zone: str) -> DateGiven | None:
        try:
            return profile_texts.date_given(asked, text, zone, country=self.country)
        except profiles.Fault as fault:
            self.fault(asked.name, *_split(profile_texts.sentence(str(fault))))
            return None


def _in_band(age: int, band: str) -> bool:
    least, _, most = band.partition("-")
    return int(least) <= age <= int(most)


def _wrong_and_mend(words: str) -> tuple[str, str]:
    """`'x' is no time; write HH:MM.` as what is wrong and how to mend it."""
    wrong, _, mend = words.partition("; ")
    return (wrong if wrong.endswith(".") else wrong + "."), mend[:1].upper() + mend[1:]


def _split(words: str) -> tuple[str, str]:
    """The first sentence, and the rest."""
    wrong, _, mend = words.partition(". ")
    return (wrong if wrong.endswith(".") else wrong + "."), mend
