"""Reading the words by which a parent leaves, joins, comes back or asks for help."""

from __future__ import annotations

import pytest

from nudges.inbound import intents
from nudges.inbound.intents import Help, Join, OptOut, Start, read

KEYWORDS = (
    *("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT"),
    *("PARAR", "ALTO", "CANCELAR", "BAJA"),
)
SPELLINGS = {
    "plain": lambda word: word,
    "lower case": str.lower,
    "capital": str.capitalize,
    "full stop": lambda word: f"{word}.",
    "shouted": lambda word: f"{word}!!!",
    "spaces and a line end": lambda word: f"  {word} \r\n",
    "emoji around": lambda word: f"🛑 {word} 🛑",
    "in quotes": lambda word: f"“{word}”",
    "zero-width characters": lambda word: "\u200b".join(word),
    "full-width letters": lambda word: word.translate({c: c + 0xFEE0 for c in range(33, 127)}),
    "with courtesy": lambda word: f"Ok, {word} please. Thank you",
    "con cortesía": lambda word: f"{word}, por favor. Gracias",
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("word", KEYWORDS)
def test_a_carrier_word_alone_opts_out_however_it_is_typed(word, spell):
    assert read(spell(word)) == OptOut(how="keyword", matched=word.lower())


@pytest.mark.parametrize("text", ["S.T.O.P", "s t o p", "STOOOOP", "stopppp", "Álto", "BAJÁ"])
def test_letters_apart_stretched_or_accented_are_the_same_word(text):
    assert isinstance(read(text), OptOut)


@pytest.mark.parametrize("text", ["STPO", "sotp", "Stopp", "STO", "UNSUSCRIBE", "unsubcribe", "Cancle", "qiut please"])
def test_known_slips_of_the_finger_opt_out(text):
    intent = read(text)
    assert isinstance(intent, OptOut)
    assert intent.how == "typo"


@pytest.mark.parametrize(
    "text", "shop step stow stops top stop-sign quite quiet send and yet cancels baha alta starts".split()
)
def test_words_one_letter_away_do_nothing(text):
    assert read(text) is None


PLAIN_WORDS = (
    "please stop texting me",
    "Stop texting me!",
    "take me off this list",
    "no more messages",
    "wrong number",
    "You have the wrong number",
    "I think you've got the wrong number",
    "ya no me manden mensajes",
    "dejen de escribirme",
    "please stop",
    "can you stop sending me these texts",
    "I dont want any more texts",
    "don't text me anymore",
    "do not contact me again",
    "remove me from your list",
    "please remove my number from your list",
    "unsubscribe me please",
    "how do i stop these messages",
    "I don't want to receive these messages anymore",
    "Thanks but we no longer want these texts",
    "leave me alone",
    "opt me out",
    "I would like to opt out",
    "I want to be removed from this list",
    "stop sending me stuff",
    "stop the texts",
    "end these messages",
    "this is the wrong number",
    "quit texting me you idiots",
    "he is fine. Stop texting me",
    "look I told you already stop texting me",
    "delete my number",
    "lose my number",
    "please cancel these texts",
    "no quiero recibir mas mensajes",
    "no me escriban mas",
    "ya no quiero mensajes",
    "número equivocado",
    "se equivocó de número",
    "quítenme de la lista",
    "quiero darme de baja",
    "por favor denme de baja",
    "borren mi numero",
    "paren los mensajes",
    "basta de mensajes",
    "déjenme en paz",
    "no más mensajes por favor",
    "dejen de mandarme mensajes por favor",
    "favor de no enviar mas mensajes",
    "stop messaging me about therapy",
    "I want off this list",
    "i never signed up for this stop texting me",
    "stop texting this number",
    "no longer wish to receive texts",
    "I revoke my consent",
    "please dont message me again",
    "stop all messages",
    "take my number off your list please",
    "enough with the texts",
    "i dont need these texts anymore",
    "Quit sending these",
    "ya no me mande nada",
    "ya no me escriba por favor",
    "no quiero que me manden mensajes",
    "cómo cancelo los mensajes",
    "I want you to stop texting me",
    "We would like to stop getting these messages",
    "get me off this list",
    "please take me off your texting list",
    "I dont want your texts",
    "I did not sign up for this, please remove me",
    "who is this? wrong number",
    "sorry wrong person",
    "no more texts please",
    "not interested in these messages",
    "Please don't send me any more texts",
    "I do not wish to be contacted",
    "end my subscription",
    "unenroll me please",
    "this isn't her phone",
    "this is not Maria's number",
    "deje de mandarme textos",
    "por favor ya no me envíen más mensajes",
    "no deseo recibir mensajes",
    "sáquenme de esta lista",
    "ya no quiero recibir sus textos",
    "no me molesten más",
    "está equivocado de número",
    "este no es el número de Ana",
    "ya paren de mandar mensajes",
    "stop it",
    "stop this",
    "no more",
    "ya basta",
    "pls stop w the texts",
    "dont send me this crap anymore",
    "Im not the right person, remove my number",
    "i asked you to stop texting",
    "you people need to stop contacting me",
    "stop blowing up my phone",
    "i want out of this texting thing",
    "no thank you, dont text me",
    "never message me again",
    "do not text this phone again please",
    "how can i unsubscribe?",
    "can u take me off ur list",
    "I don't consent to these messages",
    "i didnt ask for these texts",
    "ya no me escriban",
    "no me manden nada",
    "quiero que dejen de mandarme mensajes",
    "quitenme de esta lista porfa",
    "como le hago para ya no recibir mensajes",
    "no me interesan sus mensajes",
    "no quiero que me escriban",
    "ya no quiero estar en el programa de mensajes",
    "este numero no es de ella",
    "borrenme de su lista",
    "stop msgs",
    "no me mande más textos señorita",
    "I'd like to stop receiving texts",
    "we are not interested please stop",
    "remove us from this please",
    "Stop. Stop. Stop.",
    "Please stop messages",
)


@pytest.mark.parametrize("text", PLAIN_WORDS)
def test_plain_words_opt_out(text):
    intent = read(text)
    assert isinstance(intent, OptOut)
    assert intent.how in ("phrase", "keyword")


@pytest.mark.parametrize("text", PLAIN_WORDS[::7])
def test_plain_words_opt_out_in_capitals_and_with_curly_apostrophes(text):
    assert isinstance(read(text.upper().replace("'", "’")), OptOut)


NOT_LEAVING = (
    "stop by Sunday",
    "he won't stop crying",
    "We have got to stop this",
    "can we stop the sessions?",
    "I want to quit my job",
    "no para de llorar",
    "He won't stop texting me",
    "I told him to stop texting me",
    "don't text me before 9",
    "please dont text me at night",
    "don't text me on Sundays",
    "stop texting me so early",
    "no me manden mensajes en la noche",
    "no me escriban los domingos",
    'he said "stop texting me" to his dad',
    '"Stop texting me" was all I got today',
    "«ya no me escribas» fue lo unico hoy",
    "she says leave me alone",
    "Leave me alone is all she says",
    "she wants to quit the program",
    "can I cancel the session on Tuesday",
    "cancel my appointment",
    "end of the week works",
    "no more fighting today",
    "no more messages from his dad",
    "there are no more messages on his phone",
    "she gave me the wrong number for the clinic",
    "stop sign",
    "yes",
    "YES",
    "1",
    "ok",
    "he quit soccer",
    "we stopped going",
    "should we stop therapy?",
    "I want to stop arguing with him",
    "how do i stop him from yelling",
    "my ex keeps texting me",
    "ya no quiere ir",
    "no quiere hablar",
    "él no me escribe",
    "le dije que no me escriba",
    "ya no me mandan mensajes",
    "help me",
    "please help",
    "I can't stop crying",
    "do i have to stop",
    "the bus stop",
    "start on monday",
    "he joined a club",
    "can we end this week",
    "baja la voz le dije",
    "bajó del carro",
    "alto y flaco",
    "para mañana",
    "para nada",
    "parar en la escuela",
    "quiero cancelar la cita",
    "stop and think was useful",
    "the messages help",
    "I don't want him to get texts",
    "I don't need more stress",
    "don't call my ex",
    "I don't want to text him",
    "he told me to quit texting her",
    "please don't contact his dad",
    "dont message his father",
    "Too many texts",
    "stop sending so many texts",
    "end this fight",
    "cancel the whole thing with the therapist",
    "I want to stop therapy",
    "I end up crying",
    "quit while ahead",
    "I called the wrong number for the clinic",
    "how do I stop the texts from his dad",
    "can I take him off the list at school",
    "remove the pressure",
    "remove it from his room",
    "I removed his phone",
    "delete the app",
    "we want to end it with the therapist",
    "we need to end these fights",
    "no more therapy he says",
    "I don't need this",
    "i dont need the stress",
    "i dont want this",
    "I don't want to read these books",
    "he says he doesn't want texts",
    "make it stop",
    "I dont want to text and drive",
    "does stopping texts help",
    "No me escribe nunca",
    "no quiero más pleitos",
    "no más gritos",
    "ya no quiero recibir llamadas de su papá",
    "cancelen la cita por favor",
    "no puedo parar de llorar",
    "paren el maltrato",
    "deje de fumar",
    "dejen de pelear les dije",
    "I want to be left alone",
    "this is not the number for the clinic",
    "no me escriban en fin de semana",
    "we would like to stop getting calls from school",
    "I don't wish to fight",
    "he stopped texting me back",
    "we decided to stop the medication",
    "she asked me to stop calling her dad",
    "can you text me less",
    "i cant stop thinking about it",
    "please stop him from leaving",
    "dont want to push her",
    "the school called the wrong number",
    "we want to end the session early",
    "i need a break from all of this",
    "he threw my phone and said stop",
    "she hates when I say stop",
    "when will this stop",
    "no more screens after 9 helped",
    "do not contact order for his dad",
    "the no contact order ended",
    "we cancelled",
    "can we cancel tomorrow",
    "he went in!!! dont text me back I am happy in the lot",
    "no me busquen",
    "cancel my enrollment in the camp",
)


@pytest.mark.parametrize("text", NOT_LEAVING)
def test_a_story_an_answer_or_a_wish_about_the_hour_does_not_opt_out(text):
    assert not isinstance(read(text), OptOut)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("HELP", Help()),
        ("help?", Help()),
        ("Info", Help()),
        ("AYUDA", Help()),
        ("¡Ayuda!", Help()),
        ("START", Start()),
        ("unstop", Start()),
        ("start please", Start()),
        ("JOIN", Join()),
        ("join 🙂", Join()),
        ("Unirme", Join()),
        ("unirme por favor", Join()),
    ],
)
def test_help_start_and_join_in_both_languages(text, intent):
    assert read(text) == intent


@pytest.mark.parametrize("text", ["help me", "please help", "ayuda por favor", "need help now"])
def test_a_plea_is_not_the_help_keyword(text):
    assert read(text) is None


@pytest.mark.parametrize("text", ["YES", "yes!", "sí", "1", "2", "", "   ", "🙏", "…", "PAUSE 2", "inicio"])
def test_everything_else_is_no_intent(text):
    assert read(text) is None


@pytest.mark.parametrize("text", ["STOP", "stop", " Revoke ", "OPTOUT"])
def test_the_carrier_answers_its_own_bare_words(text):
    assert intents.is_answered_by_carrier(text)


@pytest.mark.parametrize("text", ["STOP!", "OPT OUT", "ALTO", "stop please", "please stop texting me", "HELP", "YES"])
def test_the_carrier_does_not_answer_what_only_we_recognise(text):
    assert not intents.is_answered_by_carrier(text)


def test_a_text_of_the_greatest_length_is_read_at_once():
    # Every pattern is a bounded walk over words: no text can make it search for long.
    assert read("dont send me more of these " * 59) is not None
    assert read("please just stop and you and we and i want to " * 35) is None


# ---------------------------------------------------------------- leaving in the middle of danger


LEAVES_IN_DANGER = [
    "STOP he will kill me",
    "stop, I want to die",
    "Stop. He has a gun",
    "STOP he's going to kill me if he sees this",
    "stop i want to die",
    "STOP my husband will kill me",
    "stop please he will kill me",
    "stop stop hes hitting me",
    "stop texting he will kill me",
    "STOP me va a matar",
    "stop el me va a matar",
    "alto mi esposo me quiere matar",
    "STOP mi hijo dice que se quiere matar",
    "unsubscribe i want to kill myself",
    "hi stop he will kill me",
    "I want to die. Stop",
    "please stop he will kill me",
    "STOP\nshe took pills",
    "baja me va a matar",
    "stop now he is going to kill me",
    "stop all she wants to die",
]

STAYS_IN_DANGER = [
    "stop him he will kill me",
    "stop him from killing me",
    "he won't stop crying and says he wants to die",
    "stop by at 5 he wants to die",
    "stop my son from killing himself",
    "stop it he is killing her",
    "stop her she wants to jump",
    "make him stop he is hitting me",
    "she screamed, stop, and he hit her",
    "stop the bleeding how do i",
    "baja el cuchillo le dije",
    "alto ahi le dije y me pego",
    'she says "stop" and he kept choking her',
    "i cant stop wanting to die",
    "stop crying i told her and she swallowed pills",
    "they need to stop him now",
    "no para de decir que se quiere matar",
    "I want it to stop, I want to die",
    "stop hitting her he said",
    "when will it stop i want to die",
    "stop this man he is beating my mom",
    "he told me stop or i kill you",
    "the end. I want to die",
    "quit. I want to die",
    "stop the car she jumped out",
    "alto riesgo de suicidio",
    "stop his car he is drunk with my kids",
]


@pytest.mark.parametrize("text", LEAVES_IN_DANGER)
def test_a_word_of_leaving_beside_a_statement_of_danger_counts(text):
    assert intents.leaving_clause(text) is not None
    assert intents.leaves(text, in_danger=True)


@pytest.mark.parametrize("text", STAYS_IN_DANGER)
def test_a_plea_to_stop_something_else_is_no_wish_to_leave(text):
    assert not intents.leaves(text, in_danger=True)


@pytest.mark.parametrize("text", ["STOP he is mad at me", "stop my son is late", "stop by at 5"])
def test_without_danger_a_person_reads_what_a_leading_stop_means(text):
    assert not intents.leaves(text, in_danger=False)
