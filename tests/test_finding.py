"""What a question asks for decides how its evidence is gathered, on a library of transcripts."""

import shutil
from itertools import pairwise

import pytest

from pipeline import build
from pipeline.errors import LibraryError
from pipeline.search import around, places
from pipeline.search.moments import FUSION, Fusion
from pipeline.settings import Settings
from pipeline.types import Frame, Media, Moment, Passage, Turn

EACH = 8.0  # s, of a sentence
SAILING = """
Welcome aboard, we begin with the hull of the boat. The hull is built of cedar planks on oak ribs.
Every plank is glued and nailed with copper. Below the hull hangs a keel of cast iron.
The keel weighs nine hundred kilograms. It stops the boat from tipping over.
The rudder turns behind the keel. A wooden tiller moves the rudder.
The compass sits in front of the tiller. The cabin sleeps four people.

Now look up at the mast and the sails. The mast is made of spruce and stands eleven metres tall.
Steel wires hold the mast from both sides. The large sail is called the mainsail.
A rope called the halyard pulls the mainsail up. The small sail in front is the jib.
In strong wind you make the sail smaller, which is called reefing. Reefing takes two people and three minutes.
Tie the reef with a square knot. Loose ropes are coiled on the deck.

Before you leave, read the weather forecast. A falling barometer announces a storm.
Dark clouds in the west bring gusts within an hour. Fog is the most dangerous weather near rocks.
When fog comes, steer by the compass alone. Sound the horn every two minutes in fog.
Thunder means that lightning may strike the mast. Stay away from the wires in lightning.
A red sky in the evening promises sunshine. Put on a life jacket in every gale.

Finally we sail back into the harbour. Take down the jib before the entrance.
Start the engine and lower the fenders over the side. Drop the anchor at walking pace in five metres of water.
Then row the dinghy ashore with a line. Fasten the line to the iron ring on the quay.
Pay the harbour fee of twelve euros at the kiosk. Cover the compass so that the sun does not spoil it.
Wash the salt off the deck with fresh water. Thank you for sailing with us.
"""
BREAD = """
This recipe makes two loaves of sourdough bread. Feed the starter with rye flour the evening before.
Mix a kilogram of wheat flour with warm water. Add twenty grams of salt and the starter.
Knead the dough until it is smooth. Let the dough rise for four hours.
Shape two loaves and dust them with flour. Heat the oven to two hundred and fifty degrees.
Bake the bread for forty minutes. It is done when it sounds hollow.
"""
GERMAN = """
Heute besichtigen wir die alte Stadt am Fluss. Die ältesten Häuser stehen gleich neben der Brücke.
Sie wurden im Mittelalter aus Eichenholz gebaut. Der Turm der Kirche ist weithin zu sehen.
Auf dem Markt verkaufen die Bauern ihr Gemüse. Am Abend fahren wir mit dem Schiff zurück.
"""
BELL = "\n".join(f"Round {number} is over, and a bell rings." for number in range(24))


def srt(text, every=EACH):
    """A subtitle file of one sentence a caption, EACH seconds long."""
    sentences = [f"{one.strip()}." for line in text.split("\n") for one in line.rstrip(".").split(". ") if one.strip()]
    cues = [(number * every, sentence.rstrip(".") + ".") for number, sentence in enumerate(sentences)]
    return "\n".join(f"{n}\n{clock(at)} --> {clock(at + EACH)}\n{said}\n" for n, (at, said) in enumerate(cues, 1))


def clock(seconds):
    return f"00:{int(seconds) // 60:02}:{int(seconds) % 60:02},000"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Four transcripts, read once. Only read from."""
    folder = tmp_path_factory.mktemp("transcripts")
    pipeline = build(Settings(data_dir=folder / "data"))
    for name, text, every in (
        ("sailing", SAILING, EACH),
        ("bread", BREAD, EACH),
        ("stadt", GERMAN, EACH),
        ("bell", BELL, 60.0),
    ):
        path = folder / f"{name}.srt"
        path.write_text(srt(text, every))
        pipeline.ingest(path)
    yield pipeline
    pipeline.close()


def media(library, title):
    (one,) = [one for one in library.everything()[0] if one.title == title]
    return one


def sentence(one, words):
    """The passage of a media that says these words."""
    (found,) = [passage for passage in one.passages if words in passage.text]
    return found


def find(library, question, title="sailing", **options):
    return library.find(question, [media(library, title).id], **options)


def texts(moment):
    return " ".join(passage.text for passage in moment.passages)


class TestLocal:
    @pytest.mark.parametrize(
        ("question", "title", "answer"),
        [
            ("Which wood are the ribs of the boat?", "sailing", "oak ribs"),
            ("How do I find my way when there is fog?", "sailing", "steer by the compass"),
            ("How much does mooring cost?", "sailing", "twelve euros"),
            ("How hot does the oven have to be?", "bread", "two hundred and fifty degrees"),
            ("altes Haus an der Brücke", "stadt", "Die ältesten Häuser"),
        ],
    )
    def test_the_moment_that_answers_comes_first_out_of_all_media(self, library, question, title, answer):
        evidence = library.find(question)
        assert evidence.kind == "local"
        best = evidence.moments[0]
        assert best.media == media(library, title).id
        assert answer in texts(best)
        assert best.end - best.start <= 45

    def test_no_more_moments_than_asked_and_each_is_another_place(self, library):
        evidence = find(library, "ropes and sails on the boat", limit=3)
        assert len(evidence.moments) == 3
        for n, one in enumerate(evidence.moments):
            for other in evidence.moments[:n]:
                assert min(one.end, other.end) - max(one.start, other.start) <= 0.5 * (one.end - one.start)

    def test_a_list_without_a_weight_is_not_asked_for(self, library):
        words = Fusion({"words": 1.0, "meaning": 0.0})
        assert (
            library.find("mooring costs dinghies xyzzy", fusion=words).moments
            == library.find("dinghies", fusion=words).moments
        )
        assert library.find("xyzzy", fusion=words).moments == ()
        assert library.find("xyzzy", fusion=Fusion({"meaning": 1.0})).moments

    def test_moments_are_compared_word_by_word_and_refused_by_what_was_found_before(self, library):
        without = Fusion(FUSION.weights)
        question = "Which timber is the pole for the canvas cut from?"
        compared, fused = find(library, question), find(library, question, fusion=without)
        assert compared.moments[0].score > fused.moments[0].score
        assert compared.nearness == fused.nearness
        assert len(compared.moments) == len(fused.moments)


class TestWhole:
    def test_a_question_about_all_of_it_gets_every_chapter_in_order_with_its_title(self, library):
        sailing = media(library, "sailing")
        assert len(sailing.chapters) > 1
        for question in ("What is this video about?", "Summarise the video", "List the main points"):
            evidence = find(library, question)
            assert evidence.kind == "whole"
            assert [(m.start, m.end, m.title) for m in evidence.moments] == [
                (chapter.start, chapter.end, chapter.title) for chapter in sailing.chapters
            ]

    def test_each_chapter_has_a_few_of_its_own_sentences(self, library):
        for moment in find(library, "What is this video about?").moments:
            assert 1 <= len(moment.passages) <= 3
            assert all(moment.start <= (p.start + p.end) / 2 < moment.end for p in moment.passages)
            assert {*moment.passages} <= {*media(library, "sailing").passages}

    def test_asked_of_several_media_it_is_answered_with_what_fits_best(self, library):
        evidence = library.find("What is this video about?")
        assert evidence.kind == "local"
        assert evidence.moments
        some = library.find("Summarise it", [media(library, "sailing").id, media(library, "bread").id])
        assert some.kind == "local"


class TestBeside:
    def test_what_comes_after_something_begins_right_behind_it(self, library):
        sailing = media(library, "sailing")
        evidence = find(library, "What happens after they drop the anchor?")
        assert evidence.kind == "after"
        first = evidence.moments[0]
        assert first.passages[0] == sentence(sailing, "row the dinghy")
        assert first.start == sentence(sailing, "Drop the anchor").end
        assert first.end - first.start <= 45

    def test_what_comes_before_something_ends_right_before_it(self, library):
        sailing = media(library, "sailing")
        evidence = find(library, "What do they do before they drop the anchor?")
        assert evidence.kind == "before"
        first = evidence.moments[0]
        assert first.passages[-1] == sentence(sailing, "Start the engine")
        assert first.end == sentence(sailing, "Drop the anchor").start

    @pytest.mark.parametrize("side", ["after", "before"])
    def test_the_thing_itself_is_in_the_evidence_too(self, library, side):
        evidence = find(library, f"What happens {side} they drop the anchor?")
        assert any("Drop the anchor" in texts(moment) for moment in evidence.moments[1:])

    def test_it_is_found_in_the_right_one_of_several_media(self, library):
        first = library.find("What happens after the dough is kneaded?").moments[0]
        assert first.media == media(library, "bread").id
        assert "rise for four hours" in first.passages[0].text

    def test_after_the_last_thing_there_is_nothing_and_what_was_found_stays(self, library):
        evidence = find(library, "What happens after they thank us for sailing with them?")
        assert evidence.moments
        assert "Thank you for sailing" in texts(evidence.moments[0])


class TestPlaces:
    COMPASS = ("sits in front of the tiller", "steer by the compass alone", "Cover the compass")

    @pytest.mark.parametrize(
        ("question", "kind"),
        [
            ("When does she first mention the compass?", "first"),
            ("When is the compass mentioned for the last time?", "last"),
            ("Show me every place where the compass is mentioned", "every"),
            ("How many times does she mention the compass?", "count"),
        ],
    )
    def test_all_places_are_listed_in_their_order(self, library, question, kind):
        evidence = find(library, question)
        assert evidence.kind == kind
        assert len(evidence.moments) == 3
        for moment, words in zip(evidence.moments, self.COMPASS, strict=True):
            assert words in texts(moment)
        assert not evidence.notes

    def test_words_count_in_any_form_and_beside_one_another_are_one_place(self, library):
        evidence = find(library, "How many times do they talk about reefs?")
        assert len(evidence.moments) == 1
        assert texts(evidence.moments[0]).lower().count("reef") == 3

    def test_all_media_are_looked_at_where_none_is_named(self, library):
        evidence = library.find("every time that salt is mentioned")
        assert {moment.media for moment in evidence.moments} == {media(library, t).id for t in ("sailing", "bread")}
        assert [(m.media, m.start) for m in evidence.moments] == sorted((m.media, m.start) for m in evidence.moments)

    def test_what_is_never_said_so_is_found_by_meaning_in_order(self, library):
        evidence = find(library, "every time that danger is mentioned")
        assert evidence.moments
        assert [m.start for m in evidence.moments] == sorted(m.start for m in evidence.moments)

    @pytest.mark.parametrize(
        ("question", "shown"), [("every time the bell rings", (0, 20)), ("When is the bell last mentioned?", (4, 24))]
    )
    def test_of_very_many_places_it_says_how_many_there_are(self, library, question, shown):
        evidence = find(library, question, "bell")
        rounds = [int(texts(moment).split()[1]) for moment in evidence.moments]
        assert rounds == list(range(*shown))
        (note,) = evidence.notes
        assert "24 places" in note
        assert ("last 20" if shown[1] == 24 else "first 20") in note

    def test_the_beginning_and_the_end_themselves_need_no_search(self, library):
        begin = find(library, "How does the video begin?")
        assert begin.kind == "first"
        (moment,) = begin.moments
        assert moment.start == 0
        assert moment.passages[0] == media(library, "sailing").passages[0]
        (moment,) = find(library, "How does the video end?").moments
        assert moment.passages[-1] == media(library, "sailing").passages[-1]
        assert 0 < moment.end - moment.start <= 45


class TestNow:
    def test_it_is_what_was_said_just_before_the_player(self, library):
        sailing = media(library, "sailing")
        horn = sentence(sailing, "Sound the horn")
        evidence = find(library, "What did she just say?", at=(sailing.id, horn.end))
        assert evidence.kind == "now"
        (moment,) = evidence.moments
        assert horn in moment.passages
        assert moment.start <= horn.start < horn.end <= moment.end
        assert moment.end - moment.start <= 45

    def test_the_player_says_which_of_several_media_is_meant_and_its_id_may_be_shortened(self, library):
        bread = media(library, "bread")
        (moment,) = library.find("What did he just say?", at=(bread.id[:8], 20.0)).moments
        assert moment.media == bread.id

    def test_without_a_player_it_is_a_question_like_any_other(self, library):
        evidence = find(library, "What did she just say?")
        assert evidence.kind == "local"

    def test_another_question_does_not_mind_where_the_player_stands(self, library):
        sailing = media(library, "sailing")
        question = "Which wood are the ribs of?"
        assert find(library, question, at=(sailing.id, 200.0)) == find(library, question)


class TestFollowUps:
    @pytest.fixture
    def history(self, library):
        question = "What does a falling barometer announce?"
        evidence = find(library, question, limit=2)
        return [Turn(question, "A storm.", evidence)]

    def test_after_that_is_what_follows_the_answer(self, library, history):
        best = history[0].evidence.moments[0]
        evidence = find(library, "And what does she say after that?", history=history)
        first = evidence.moments[0]
        assert first.passages
        assert best.end - EACH <= first.start <= best.end + EACH
        assert first.passages[0].start >= best.passages[-1].start

    def test_before_that_is_what_led_to_it(self, library, history):
        best = history[0].evidence.moments[0]
        first = find(library, "And what was said before that?", history=history).moments[0]
        assert first.passages
        assert best.start - EACH <= first.end <= best.start + EACH

    def test_a_question_that_leans_on_the_one_before_is_found_by_its_words(self, library, history):
        best = find(library, "Why does it do that?", history=history).moments[0]
        assert "falling barometer" in texts(best)

    def test_how_many_times_of_it_counts_what_was_asked_about(self, library):
        question = "Where is the compass?"
        history = [Turn(question, "In front of the tiller.", find(library, question, limit=1))]
        evidence = find(library, "How many times does she mention it?", history=history)
        assert evidence.kind == "count"
        assert len(evidence.moments) == 3


# -- the parts, on media made here


A = "a" * 32


def said(start, end, text="words"):
    return Passage(float(start), float(end), text, "speech")


def shown(start, end, text="slide"):
    return Passage(float(start), float(end), text, "screen")


def frame(start, end):
    return Frame(float(start), float(end), f"frames/{start}.jpg")


class TestAround:
    media = Media(
        A, "talk", "/talk.mp4", "second", 300.0, "en",
        frames=(frame(0, 150), frame(150, 300)),
        passages=(said(0, 28, "one"), said(25, 55, "two"), shown(0, 150), said(52, 80, "three"), said(200, 230, "far")),
    )  # fmt: skip
    silent = Media(A, "film", "/film.mp4", "second", 300.0, "", frames=(frame(0, 150), frame(150, 300)))

    def test_what_is_said_next_follows(self):
        moment = around.following(self.media, 28.0, 45.0)
        assert [p.text for p in moment.passages] == ["two", "three"]
        assert 28 <= moment.start < moment.end <= 80
        assert moment.frames == (frame(0, 150),)

    def test_a_silence_is_passed_over(self):
        moment = around.following(self.media, 90.0, 45.0)
        assert [p.text for p in moment.passages] == ["far"]
        assert (moment.start, moment.end) == (200, 230)
        assert moment.frames[0] == frame(150, 300)

    def test_what_was_said_before_precedes(self):
        moment = around.preceding(self.media, 200.0, 20.0)
        assert [p.text for p in moment.passages if p.kind == "speech"] == ["three"]
        assert moment.end <= 200
        assert moment.end - moment.start <= 45

    def test_at_the_ends_there_is_nothing(self):
        assert around.following(self.media, 300.0, 45.0) is None
        assert around.preceding(self.media, 0.0, 45.0) is None

    def test_without_words_the_pictures_follow(self):
        assert around.following(self.silent, 140.0, 45.0).frames == (frame(150, 300), frame(0, 150))
        assert around.preceding(self.silent, 30.0, 45.0).frames == (frame(0, 150),)

    def test_at_a_time_is_what_is_said_and_shown_there_with_the_picture_that_stands_first(self):
        moment = around.at(self.media, 160.0, 20.0, 5.0)
        assert (moment.start, moment.end) == (140, 165)
        assert [p.kind for p in moment.passages] == ["screen"]
        assert moment.frames == (frame(150, 300), frame(0, 150))
        moment = around.at(self.media, 60.0, 20.0, 5.0)
        assert [p.text for p in moment.passages] == ["slide", "two", "three"]

    def test_at_a_time_without_words_there_is_the_picture(self):
        assert around.at(self.silent, 10.0, 20.0, 5.0).frames == (frame(0, 150),)
        assert around.at(self.silent, 0.0, 20.0, 5.0).start == 0

    def test_where_nothing_is_said_or_shown_there_is_no_moment(self):
        sound = Media(A, "sound", "/sound.mp3", "second", 300.0, "en", passages=(said(0, 20),))
        assert around.at(sound, 200.0, 20.0, 5.0) is None


class TestWhere:
    @staticmethod
    def of(*passages, frames=()):
        return Media(A, "talk", "/talk.mp4", "second", 900.0, "en", tuple(frames), tuple(passages))

    def test_a_place_holds_all_the_words_in_any_form(self):
        media = self.of(said(0, 9, "Layers are trained."), said(100, 109, "Train a model."), said(200, 209, "A layer."))
        assert [(m.start, m.end) for m in places.where("training of a layer", [media])] == [(0, 9)]
        assert len(places.where("layers", [media])) == 2

    def test_mentions_close_together_are_one_place_no_longer_than_45_seconds(self):
        near = [said(at, at + 8, "The otter swims.") for at in range(0, 120, 10)]
        found = places.where("otter", [self.of(*near, said(600, 608, "An otter."))])
        assert found[-1].start == 600
        assert max(moment.end - moment.start for moment in found) <= 45
        assert all(one.end <= other.start for one, other in pairwise(found))
        assert [p for moment in found[:-1] for p in moment.passages] == near

    def test_a_slide_that_stands_for_minutes_is_a_place_where_it_appears(self):
        (moment,) = places.where("agenda", [self.of(shown(60, 600, "Agenda"))])
        assert (moment.start, moment.end) == (60, 105)

    def test_the_picture_that_a_caption_describes_stands_for_its_place(self):
        caption = Passage(30.0, 36.0, "An otter on its back.", "caption", "frames/30.jpg")
        frames = (frame(0, 30), frame(30, 36), frame(36, 90))
        (moment,) = places.where("otter", [self.of(said(20, 29, "Otter."), caption, frames=frames)])
        assert moment.frames[0] == frame(30, 36)

    @pytest.mark.parametrize("about", ["", "the of and", "nobody says this"])
    def test_nothing_to_look_for_or_nothing_found_is_no_place(self, about):
        assert places.where(about, [self.of(said(0, 9, "An otter."))]) == []
        assert places.where("otter", []) == []


def test_a_moment_knows_its_place(library):
    for question in ("What is it about?", "every time the bell rings", "mast"):
        for moment in library.find(question).moments:
            assert isinstance(moment, Moment)
            assert 0 <= moment.start < moment.end <= library.get(moment.media).length + 0.001
            assert moment.why


class TestNotInTheVideo:
    @pytest.mark.parametrize(
        "question", ["Who won the football match in Madrid?", "What is the price of a ticket to Mars?"]
    )
    def test_what_nothing_comes_near_to_is_said_not_to_be_there(self, library, question):
        evidence = find(library, question)
        assert not evidence.near
        assert evidence.nearness < 0.2
        assert evidence.moments, "the nearest are shown all the same"

    @pytest.mark.parametrize("question", ["What is the keel made of?", "How long does reefing take?"])
    def test_what_is_there_is_near(self, library, question):
        assert find(library, question).near

    @pytest.mark.parametrize(
        ("question", "title"),
        [
            ("Worum geht es auf dem Ausflug?", "stadt"),
            ("What do the farmers sell?", "stadt"),
            ("Aus welchem Holz?", "sailing"),
        ],
    )
    def test_nothing_is_refused_in_languages_that_were_not_measured(self, library, question, title):
        assert find(library, question, title).near

    def test_a_word_that_says_nothing_is_listed_where_it_is_said_and_nowhere_else(self, library):
        evidence = find(library, "How many times does she say now?")
        assert [passage.text for moment in evidence.moments for passage in moment.passages] == [
            "Now look up at the mast and the sails."
        ]
        assert evidence.near
        assert not find(library, "How many times does she say okay?").near

    def test_a_time_in_the_question_is_looked_at(self, library):
        evidence = find(library, "What is said at 1:05?")
        assert evidence.near
        assert evidence.moments[0].start <= 65 < evidence.moments[0].end
        after = find(library, "What happens after 2:00?").moments[0]
        assert 120 <= after.start < 130

    def test_without_a_player_it_is_said_that_its_place_is_not_known(self, library):
        assert "player" in find(library, "What did she just say?").notes[0]


def test_what_is_not_embedded_yet_is_said_and_nothing_is_refused(library, tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    shutil.copytree(
        library.settings.data_dir, settings.data_dir, ignore=shutil.ignore_patterns("library.*", ".library*")
    )
    bread = media(library, "bread")
    for file in (settings.data_dir / bread.id / "vectors").iterdir():
        file.unlink()
    pipeline = build(settings)
    try:
        with pytest.raises(LibraryError, match="reindex"):
            pipeline.find("How hot is the oven?", [bread.id])
        evidence = pipeline.find("How hot is the oven of the football club in Madrid?")
        assert evidence.near
        assert evidence.notes[-1] == (
            "Words and pictures were not searched in 1 of 4: bread. They are not embedded with the text embedding that "
            "is set now. Run `python -m pipeline reindex`."
        )
        pipeline.reindex()
        assert "two hundred and fifty" in texts(pipeline.find("How hot is the oven?").moments[0])
    finally:
        pipeline.close()
