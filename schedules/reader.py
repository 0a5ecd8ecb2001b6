"""Reads the nodes of the sequence language into values, and collects every fault with its line.

Scalars are read as text (so `no`, `18:30` and `on:` mean what an author wrote) and the schema decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from schedules import effects, render, segments, traits, when
from schedules.nodes import Node
from schedules.values import (
    PLACES,
    Anchor,
    Answer,
    Effect,
    Kind,
    Limit,
    Sequence,
    Silence,
    Slot,
    Step,
    Texts,
    Thinning,
    Topic,
    Variant,
    When,
)

LANGUAGES = ("en", "es", "discreet_en", "discreet_es")
WORST_CASE = {
    "org": "Family Support Prgrm",
    "day": "Wednesday 12",
    "time": "10:30 pm",
    "resource": "Community Health Center 312-555-0100",
    "staff": "Guadalupe",
    "idea": "Cook something small side by side and let your child choose the music for it this evening.",
    "w1": "Mon 7:30 pm",
    "w2": "Tue 7:30 pm",
    "w3": "Sat 10:30 am",
    "w4": "Sun 10:30 am",
}
_MOST_PARTS = render.MOST_PARTS
_STEP_ID = re.compile(r"[A-Z]{2}-[A-Z0-9]+")
TOP_KEYS = (
    *("key", "title", "purpose", "enrolled_by", "entry", "exit", "lasts", "at_most", "beside_limit"),
    *("thinning", "if_worse_twice", "reviewed", "seeds", "steps", "notes"),
    *("traits", "words", "leads_to", "at_end"),
)
STEP_KEYS = (
    *"id when kind topic intent seeds text variants answers words then".split(),
    *("refusals", "closes_talk", "combines", "if_silent", "school_hours", "on_wish", "place", "lint_allow"),
    *("budget", "uncounted", "until_settled", "repeats", "plain"),
)
_WISHES = ("second_reminder", "phone_unknown")  # flags of the profile that a step may wait for
VARIANT_KEYS = ("age", "role", "profile", "reason", "contact")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One fault of a file: its line (from 1), what is wrong, and how to mend it."""

    line: int
    message: str
    severity: str = "error"  # error | warning


class CatalogError(ValueError):
    """A sequence text has faults; `findings` lists all of them in line order."""

    def __init__(self, name: str, findings: list[Finding]) -> None:
        super().__init__("\n".join(f"{name}:{f.line}: {f.message}" for f in findings))
        self.findings = findings


class Reader:
    """Builds values and collects findings."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def error(self, line: int, message: str) -> None:
        self.findings.append(Finding(line=line, message=message))

    def warn(self, line: int, message: str) -> None:
        self.findings.append(Finding(line=line, message=message, severity="warning"))

    def stop_on_errors(self, name: str) -> None:
        errors = [f for f in self.findings if f.severity == "error"]
        if errors:
            raise CatalogError(name, errors)

    def keys(self, node: Node, known: tuple[str, ...] | list[str], what: str) -> None:
        for key, child in node.items():
            if key not in known:
                self.error(child.line, f"{what} has the unknown key {key!r}; known keys: {', '.join(known)}")
        for key, line in node.repeated:
            self.error(line, f"{what} has {key!r} twice; keep one")

    # ------------------------------------------------------------ a sequence

    def sequence(self, root: Node) -> Sequence:
        self.keys(root, TOP_KEYS, "the sequence")
        key = root.text("key")
        if not re.fullmatch(r"[A-Z]{3,12}", key):
            self.error(root.child("key").line, "key should be 3 to 12 capital letters, such as TALK")
        for required in ("title", "purpose", "at_most", "steps"):
            if required not in root.pairs:
                self.error(root.line, f"{required} is missing")
        steps = tuple(self.step(node) for node in root.child("steps").elements())
        self.references(root, steps)
        return Sequence(
            key=key,
            title=root.text("title"),
            purpose=root.text("purpose"),
            steps=steps,
            at_most=self.limit(root.child("at_most")),
            beside_limit=root.words("beside_limit"),
            thinning=self.thinning(root.child("thinning")),
            lasts_days=self.lasts(root.child("lasts")),
            enrolled_by=root.words("enrolled_by"),
            entry=root.words("entry"),
            exit=root.words("exit"),
            reviewed={name: node.value or "" for name, node in root.child("reviewed").items()},
            if_worse_twice=tuple(self.effects(root.child("if_worse_twice"))),
            traits=traits.read(root.child("traits"), self),
            words={word: tuple(self.effects(effs)) for word, effs in root.child("words").items()},
            leads_to=root.words("leads_to"),
            at_end=self.at_end(root.child("at_end")),
        )

    def at_end(self, node: Node) -> tuple[Effect, ...]:
        told = tuple(self.effects(node))
        if any(effect.verb != "staff" for effect in told):
            self.error(
                node.line, 'at_end may only tell people: write at_end: ["staff p2: …"]; leads_to names what begins'
            )
        return told

    def limit(self, node: Node) -> Limit:
        match = re.fullmatch(r"(\d) (?:a week|per (\d+) days)", node.value or "")
        if not match:
            self.error(node.line, 'at_most should read "2 a week" or "1 per 14 days"')
            return Limit(count=1, days=7)
        return Limit(count=int(match[1]), days=int(match[2] or 7))

    def thinning(self, node: Node) -> tuple[Thinning, ...]:
        found: list[Thinning] = []
        for element in node.elements():
            match = re.fullmatch(r"(\d (?:a week|per \d+ days)) after day (\d+)", element.value or "")
            if match is None:
                self.error(element.line, 'thinning should read "1 a week after day 10", one line for each step down')
                continue
            limit = self.limit(Node(line=element.line, end=element.end, value=match[1]))
            found.append(Thinning(after_day=int(match[2]), limit=limit))
        return tuple(sorted(found, key=lambda thinning: thinning.after_day))

    def lasts(self, node: Node) -> int | None:
        if node.value in (None, "", "open"):
            return None
        match = re.fullmatch(r"(\d+) (days?|weeks?)", node.value or "")
        if not match:
            self.error(node.line, 'lasts should read "6 weeks", "7 days" or "open"')
            return None
        return int(match[1]) * (7 if match[2].startswith("week") else 1)

    def references(self, root: Node, steps: tuple[Step, ...]) -> None:
        """Every step that is named exists, and every step can be reached."""
        known = {step.id for step in steps}
        nodes = root.child("steps").elements()
        seen: set[str] = set()
        for step, node in zip(steps, nodes, strict=True):
            if step.id in seen:
                self.error(node.line, f"step {step.id} is there twice; ids are unique and stay with a step")
            seen.add(step.id)
            for target in _targets(step):
                if target not in known and target[:2] == step.id[:2]:
                    self.error(node.line, f"step {step.id} names {target}, which is not in this file")
        named = {target for step in steps for target in _targets(step)}
        for step, node in zip(steps, nodes, strict=True):
            by_answer = bool(step.when) and all(w.anchor is Anchor.ANSWER for w in step.when)
            if by_answer and step.id not in named and node.text("when") == "by answer":
                self.warn(node.line, f"nothing leads to step {step.id} in this file")

    # ------------------------------------------------------------ a step

    def step(self, node: Node) -> Step:
        self.keys(node, STEP_KEYS, f"step {node.text('id') or '?'}")
        step_id = node.text("id")
        if not _STEP_ID.fullmatch(step_id):
            self.error(node.line, f"step id {step_id!r} should look like TK-4: two letters, a dash, a number or letter")
        kind = self.member(node, "kind", Kind, Kind.TIP)
        topic = self.member(node, "topic", Topic, Topic.SYSTEM)
        texts = None if kind is Kind.STAFF else self.texts(node.child("text"), where=step_id)
        step = Step(
            id=step_id,
            when=self.moments(node.child("when")),
            kind=kind,
            topic=topic,
            intent=node.text("intent"),
            texts=texts,
            variants=tuple(self.variant(v, step_id) for v in node.child("variants").elements()),
            answers=self.answers(node),
            words={word: tuple(self.effects(effs)) for word, effs in node.child("words").items()},
            then=tuple(self.effects(node.child("then"))),
            refusals={count: tuple(self.effects(effs)) for count, effs in node.child("refusals").items()},
            seeds=node.words("seeds"),
            closes_talk=node.text("closes_talk") in ("yes", "true"),
            combines=node.text("combines") in ("yes", "true"),
            if_silent=self.if_silent(node.child("if_silent")),
            school_hours=node.text("school_hours") in ("yes", "true"),
            on_wish=node.text("on_wish") or None,
            place=node.text("place") or None,
            budget=traits.budget(node.child("budget"), self),
            uncounted=node.text("uncounted") in ("yes", "true"),
            until_settled=node.text("until_settled") in ("yes", "true"),
            repeats=self.repeats(node, step_id),
            plain=self.texts(node.child("plain"), where=f"the plain words of {step_id}")
            if "plain" in node.pairs
            else None,
        )
        self.fits(node, step)
        return step

    def repeats(self, node: Node, step_id: str) -> tuple[Texts, ...]:
        """The words of later sendings, each complete in all four languages."""
        read = (self.texts(text, where=f"a repeat of {step_id}") for text in node.child("repeats").elements())
        return tuple(texts for texts in read if texts is not None)

    def if_silent(self, node: Node) -> Silence | None:
        """One asking more, then people: silence itself never does anything to the family's plan."""
        if not node.pairs:
            return None
        self.keys(node, ("ask_again", "then"), "if_silent")
        hours = re.fullmatch(r"(\d{1,3}) hours?", node.text("ask_again"))
        then = tuple(self.effects(node.child("then")))
        if hours is None:
            self.error(node.line, 'ask_again should read "24 hours"')
        if not then or any(effect.verb != "staff" for effect in then):
            self.error(node.line, 'if_silent may only tell people: write then: ["staff p2: …"]')
        return Silence(ask_again_hours=int(hours[1]) if hours else 24, then=then)

    def fits(self, node: Node, step: Step) -> None:
        """Rules that tie kind, moment and answers together."""
        if not step.when:
            self.error(node.line, f"step {step.id} has no `when`")
        windowed = all(w.slot is Slot.WINDOW for w in step.when)
        if step.kind is Kind.TALK and not windowed:
            self.error(node.line, f"step {step.id} is a talk: its `when` should end in `, window` (PR-02)")
        asks = step.kind in (Kind.CHECKIN, Kind.FOLLOWUP, Kind.GATE, Kind.ASK)
        if asks and not 2 <= len(step.answers) <= 6:
            self.error(node.line, f"step {step.id} asks a question: give it 2 to 6 answers")
        self.asks_again(node, step)
        if step.place is not None and step.place not in PLACES:
            self.error(node.child("place").line, f"place {step.place!r} should be one of: {', '.join(PLACES)}")
        if step.texts is None:
            return
        if step.until_settled and not step.answers:
            self.error(node.line, f"step {step.id} asks nothing: until_settled belongs to a question")
        for texts in (step.texts, *step.repeats, *(v.texts for v in step.variants)):
            self.digits(node, step, texts)

    def asks_again(self, node: Node, step: Step) -> None:
        """Who is asked again: by hours only where it hangs on an event or opens a gate (reask)."""
        if step.if_silent is not None and not step.answers:
            self.error(node.line, f"step {step.id} asks nothing: if_silent belongs to a question")
        if step.on_wish is not None and step.on_wish not in _WISHES:
            self.error(node.child("on_wish").line, f"on_wish {step.on_wish!r} should be one of: {', '.join(_WISHES)}")
        for answer in step.answers.values():
            for effect in answer.then:
                same = effect.verb == "ask_again" and effect.args[0] == step.id
                if same and step.kind not in (Kind.FOLLOWUP, Kind.GATE):
                    message = f"step {step.id}: only a followup or a gate is asked again after hours"
                    self.error(node.child("answers").line, message)

    def digits(self, node: Node, step: Step, texts: Texts) -> None:
        """All four texts of a question name exactly the digits that have answers."""
        if len(step.answers) < 2:
            return
        wanted = sorted(step.answers)
        for language in LANGUAGES:
            shown = sorted(set(re.findall(r"(?<![\d:.\-])(\d)(?![\d:.\-])", getattr(texts, language))))
            if [d for d in wanted if d not in shown]:
                self.error(
                    node.child("text").line,
                    f"step {step.id} ({language}) should offer the digits {', '.join(wanted)}",
                )

    def member(self, node: Node, key: str, kinds: Any, otherwise: Any) -> Any:
        try:
            return kinds(node.text(key))
        except ValueError:
            allowed = ", ".join(k.value for k in kinds)
            self.error(node.child(key).line, f"{key} {node.text(key)!r} should be one of: {allowed}")
            return otherwise

    def moments(self, node: Node) -> tuple[When, ...]:
        found: list[When] = []
        for element in node.elements():
            try:
                found.append(when.parse(element.value or ""))
            except when.WhenError as error:
                self.error(element.line, str(error))
        return tuple(found)

    def effects(self, node: Node) -> list[Effect]:
        found: list[Effect] = []
        for element in node.elements():
            try:
                found.append(effects.parse(element.value or ""))
            except effects.EffectError as error:
                self.error(element.line, str(error))
        return found

    def answers(self, node: Node) -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        for digit, answer in node.child("answers").items():
            if not re.fullmatch(r"[1-9]", digit):
                self.error(answer.line, f"answer {digit!r} should be a digit from 1 to 9: carriers read words")
            self.keys(answer, ("means", "then", "twice", "if_ordered", "reply", "lint_allow"), f"answer {digit}")
            then = tuple(self.effects(answer.child("then")))
            if not then:
                self.error(answer.line, f"answer {digit} has no effect; write `then: [next]` if nothing follows")
            reply = (
                self.texts(answer.child("reply"), where=f"the reply to {digit}") if "reply" in answer.pairs else None
            )
            found[digit] = Answer(
                digit=digit,
                means=answer.text("means"),
                then=then,
                twice=tuple(self.effects(answer.child("twice"))),
                if_ordered=tuple(self.effects(answer.child("if_ordered"))),
                reply=reply,
            )
        return found

    def variant(self, node: Node, step_id: str) -> Variant:
        self.keys(node, ("for", "text", "lint_allow"), f"a variant of step {step_id}")
        applies = node.child("for")
        self.keys(applies, VARIANT_KEYS, f"`for` of step {step_id}")
        texts = self.texts(node.child("text"), where=f"a variant of {step_id}")
        values = {key: child.value or "" for key, child in applies.items()}
        return Variant(applies_to=values, texts=texts or Texts(en="", es="", discreet_en="", discreet_es=""))

    # ------------------------------------------------------------ texts

    def texts(self, node: Node, *, where: str) -> Texts | None:
        """Four languages with equal placeholders, each within two segments."""
        self.keys(node, (*LANGUAGES, "lint_allow"), f"the text of {where}")
        missing = [language for language in LANGUAGES if not node.text(language)]
        if missing:
            self.error(node.line, f"the text of {where} lacks {', '.join(missing)}")
            return None
        for language in LANGUAGES:
            self.one_text(node.child(language), f"{where} ({language})")
        sets = {language: render.placeholders(node.text(language)) for language in LANGUAGES}
        if len(set(sets.values())) > 1:
            self.error(node.line, f"the four texts of {where} should use the same placeholders")
        return Texts(**{language: node.text(language) for language in LANGUAGES})

    def one_text(self, node: Node, where: str) -> None:
        text = (node.value or "").strip()
        for name in sorted(render.placeholders(text) - set(render.PLACEHOLDERS)):
            known = ", ".join("{" + p + "}" for p in render.PLACEHOLDERS)
            self.error(node.line, f"{where} uses {{{name}}}; known placeholders: {known}")
        filled = re.sub(r"\{([a-z0-9_]+)\}", lambda m: WORST_CASE.get(m[1], "x" * 20), text)
        cost = segments.count(filled)
        if cost.parts > _MOST_PARTS:
            forced = f"; {' '.join(cost.forced_by)} cost more" if cost.forced_by else ""
            self.error(node.line, f"{where} takes {cost.parts} segments; shorten it to {_MOST_PARTS}{forced}")
        elif cost.forced_by:
            self.warn(node.line, f"{where} is sent as UCS-2 because of {' '.join(cost.forced_by)}: half the room")


def _targets(step: Step) -> set[str]:
    """Ids of steps that this step's moments and effects name."""
    named = {w.step for w in step.when if w.step}
    all_effects = [e for a in step.answers.values() for e in (*a.then, *a.twice, *a.if_ordered)]
    all_effects += [e for then in (*step.words.values(), *step.refusals.values(), step.then) for e in then]
    for effect in all_effects:
        if effect.verb not in ("move", "start"):
            named.update(arg for arg in effect.args if _STEP_ID.fullmatch(arg))
    return named
