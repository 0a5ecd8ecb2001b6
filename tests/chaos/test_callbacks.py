"""Whatever callbacks come, in whatever order, how often, too early or not at all: each text ends as its phone knows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudges import wiring as composition
from nudges.factory import create_app
from tests.support import factories
from tests.support.factories import a_parent, a_text
from tests.support.fake_twilio import behaviour
from tests.support.fake_twilio.webhooks import post_to_flask

# What became of a text → what a carrier reports on the way: status and code.
FATES = {
    "delivered": (("queued", None), ("sending", None), ("sent", None), ("delivered", None)),
    "undelivered": (("queued", None), ("sent", None), ("undelivered", 30006)),
}
WORDS = ("queued", "sent", "delivered", "undelivered", "failed", "read", "canceled", "a word of tomorrow")
TEXTS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """One text: what becomes of it, whether our call is answered, what is reported before that."""

    fate: str
    is_answered: bool
    early: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Callback:
    text: int
    word: str
    code: int | None
    is_forged: bool = False


stories = st.builds(
    Story,
    fate=st.sampled_from(sorted(FATES)),
    is_answered=st.booleans(),
    early=st.sampled_from([(), ("queued",), ("sent",), ("queued", "sent")]),
)


@st.composite
def days(draw):
    """Several texts, and all their callbacks in one order: some doubled, some never made, forged ones among them."""
    told = draw(st.lists(stories, min_size=TEXTS, max_size=TEXTS))
    true = [Callback(text=n, word=w, code=c) for n, story in enumerate(told) for w, c in FATES[story.fate]]
    made = draw(st.lists(st.sampled_from(true), max_size=3 * len(true)))
    forged = st.builds(
        Callback, text=st.integers(0, TEXTS - 1), word=st.sampled_from(WORDS), code=st.none(), is_forged=st.just(True)
    )
    return told, draw(st.permutations(made + draw(st.lists(forged, max_size=TEXTS))))


@pytest.fixture
def world(service):
    """The service with its real door for callbacks, and a family without texts."""
    built = composition.build(service.settings)
    app = create_app(replace(built, clock=service.clock, sessions=service.sessions))
    service.fake.webhooks._post = post_to_flask(app.test_client())
    with service.sessions.begin() as session:
        family = factories.people(session, now=service.clock.now()).family
    yield service, family
    built.engine.dispose()


def queue(service, family):
    """The ids of new texts, each to a parent of its own, in the order in which they go."""
    with service.sessions.begin() as session:
        now = service.clock.now()
        family = session.merge(family)
        parents = [a_parent(session, family, now=now) for _ in range(TEXTS)]
        later = now + timedelta(hours=1)
        return [a_text(session, parent, now=now, expires_at=later).id for parent in parents]


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(day=days())
def test_each_text_ends_as_its_phone_knows_it_and_is_called_once(world, day):
    (service, family), (told, callbacks) = world, day
    ids = queue(service, family)
    service.fake.next(
        *(
            behaviour.Behaviour(ending="answer" if story.is_answered else "close", callbacks_first=story.early)
            for story in told
        )
    )
    before = len(service.fake.texts.all())
    for _ in range(TEXTS):
        service.send(at_once=1)
        service.clock.move(seconds=2)
    rows = {row.id: row for row in service.rows()}
    texts = {text.to: text for text in service.fake.texts.all()[before:]}
    assert len(texts) == TEXTS == len(service.fake.texts.all()) - before
    for id_, story in zip(ids, told, strict=True):
        text = texts[rows[id_].to]
        service.fake.texts.move(text, *FATES[story.fate][-1])
    for callback in callbacks:
        token = "another" if callback.is_forged else None
        sid = texts[rows[ids[callback.text]].to].sid
        (answer,) = service.fake.call_back(sid, callback.word, error_code=callback.code, token=token)
        assert answer[0] == (403 if callback.is_forged else 204)
    service.live_on()
    ended = {row.id: row for row in service.rows()}
    assert [ended[id_].status for id_ in ids] == [story.fate for story in told]
    assert all(ended[id_].status_reason and ended[id_].settled_at and ended[id_].attempts == 1 for id_ in ids)
    service.moves_are_of_the_table()
