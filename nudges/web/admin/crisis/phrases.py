"""The phrase builder: words and slots, example lines, a plain preview, and saving to the draft."""

from __future__ import annotations

import json

from flask import abort, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from nudges.alerts.topics import SUBJECTS
from nudges.crisis import phrases, rulebook
from nudges.crisis.phrases import KINDS, LANGUAGES, SLOTS, Kind, Phrase
from nudges.crisis.values import Level, Tier
from nudges.desk import content, drafting, lint, picture, versions
from nudges.web.admin.crisis.areas import desk_area, put_by_click, put_in_draft
from nudges.web.context import now, transaction
from nudges.web.forms import Form
from nudges.web.pages import page

area = desk_area("desk_phrases", __name__)
TIERS = (("", "Choose"), *SUBJECTS.items())
SEVERITIES = (
    ("3", "Danger: page one, then more"),
    ("4", "Happening now: page three at once"),
    ("2", "Unsafe, no injury"),
)


@area.get("/crisis/phrases")
def index() -> Response:
    at = now()
    with transaction() as db:
        live = versions.live_content(db)
        own = content.phrases_in(live)
        trials = {name: drafting.trial_since(db, name) for name, phrase in own.items() if phrase.shadow}
        return page(
            "desk/phrases.html",
            own=own,
            open_keys={row.key for row in drafting.open_changes(db)},
            lowered=[key.partition(":")[2] for key in live if key.startswith("rule:")],
            rules=sorted(rule.id for rule in rulebook.load().rules if rule.level is Level.CRISIS),
            trials=trials,
            trial=drafting.TRIAL,
            over={name for name, since in trials.items() if since is not None and at - since >= drafting.TRIAL},
            silenced=picture.silenced(db, since=at - picture.WINDOW),
            kinds=KINDS,
            subjects=SUBJECTS,
            form=Form(),
        )


@area.get("/crisis/phrases/new")
def new() -> Response:
    return _builder(Form(), name=None)


@area.get("/crisis/phrases/<name>")
def edit(name: str) -> Response:
    """The builder on the draft of the phrase, or on what is in force."""
    with transaction() as db:
        draft = drafting.open_draft(db, content.phrase_key(name))
        phrase = content.phrases_in(versions.live_content(db)).get(name)
    raw = json.loads(draft.text)
    phrase = phrases.from_json(raw) if raw is not None else phrase
    if phrase is None:
        abort(404)
    return _builder(Form(values=_as_typed(phrase, draft.revision)), name=name)


def _as_typed(phrase: Phrase, revision: int) -> MultiDict[str, str]:
    values = {
        "revision": str(revision),
        "kind": phrase.kind,
        "words": phrase.words,
        "tier": phrase.tier.value if phrase.tier else "",
        "severity": str(phrase.severity),
        "language": phrase.language,
        "must": "\n".join(phrase.must),
        "must_not": "\n".join(phrase.must_not),
    }
    ticks = {"whole_words": phrase.whole_words, "typos": phrase.typos}
    return MultiDict(values | {key: "yes" for key, is_on in ticks.items() if is_on})


def _builder(form: Form, *, name: str | None, checked: lint.Checked | None = None) -> Response:
    return page(
        "desk/phrase.html",
        form=form,
        name=name,
        checked=checked,
        kinds=list(KINDS.items()),
        tiers=TIERS,
        severities=SEVERITIES,
        languages=list(LANGUAGES.items()),
        slots=list(SLOTS),
        most=phrases.MOST_CHARACTERS,
    )


@area.post("/crisis/phrases/new")
def create() -> Response:
    return _try_or_save(None)


@area.post("/crisis/phrases/<name>")
def change(name: str) -> Response:
    return _try_or_save(name)


def _try_or_save(name: str | None) -> Response:
    """Try what is typed. Saved only when that was asked for and nothing is wrong."""
    form, at = Form(values=request.form), now()
    phrase = _typed(form)
    with transaction() as db:
        live, recent = versions.live_content(db), drafting.recent_ordinary(db, now=at)
        is_known = name is None or drafting.open_draft(db, content.phrase_key(name)).text != "null"
    if name is not None and content.phrase_key(name) not in live and not is_known:
        abort(404)
    # Outside a transaction: on SQLite it would hold up a crisis text for as long as it takes.
    checked = lint.check(phrase, name=name or "trial", live=live, recent=recent)
    for field, message in checked.faults:
        form.fault(field, message)
    if form.faults or form.get("do") != "save":
        return _builder(form, name=name, checked=checked)
    return put_in_draft(form, drafting.propose_phrase, phrase, name=name) or _builder(form, name=name, checked=checked)


def _typed(form: Form) -> Phrase:
    kind: Kind = {"check": "check", "never_alone": "never_alone"}.get(form.get("kind"), "crisis")  # type: ignore[assignment]  # one of the three
    return Phrase(
        kind=kind,
        words=" ".join(form.get("words").split()),
        tier=Tier(form.get("tier")) if form.get("tier") in SUBJECTS else None,
        severity=int(form.get("severity")) if form.get("severity") in ("2", "3", "4") else 3,
        whole_words=bool(form.get("whole_words")),
        typos=bool(form.get("typos")),
        language=form.get("language"),
        must=_lines(form, "must"),
        must_not=_lines(form, "must_not"),
    )


def _lines(form: Form, field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.strip() for line in form.values.get(field, "").splitlines() if line.strip()))


@area.post("/crisis/phrases/<name>/remove")
def remove(name: str) -> Response:
    return put_by_click(url_for("desk_phrases.index"), drafting.propose, content.phrase_key(name), None)


@area.post("/crisis/phrases/<name>/end-trial")
def end_trial(name: str) -> Response:
    return put_by_click(url_for("desk_phrases.index"), drafting.propose_end_of_trial, name)


@area.post("/crisis/rules")
def rules() -> Response:
    """Lower a built-in rule to a safety check, or put it back. None can be removed."""
    form = Form(values=request.form)
    lowered = "check" if form.get("do") == "lower" else None
    return put_by_click(url_for("desk_phrases.index"), drafting.propose, f"rule:{form.get('rule')}", lowered)
