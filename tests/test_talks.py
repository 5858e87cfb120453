"""A conversation is kept, arrives without the page, and survives what happens to the page and the app."""

import json
import logging
import threading
from pathlib import Path

import pytest
from conftest import read_here
from PIL import Image

from pipeline.chat.exchange import RESTARTED
from pipeline.chat.reply import Reply
from pipeline.disk import write_whole
from pipeline.errors import AnswerError, MediaNotFound, SourceError
from pipeline.media import folder as folders
from pipeline.talks import BUG, Talk
from pipeline.types import Evidence, Frame, Moment, Passage

SAID = Passage(3.0, 6.0, "Planks are glued.", "speech")
MOMENT = Moment("a" * 32, 3.0, 6.0, 0.5, (SAID,), (Frame(3.0, 8.0, "frames/3.jpg"),), ("the words match",))


class Answers:
    """Answers as it is told: each word waits until the test lets it go."""

    def __init__(self):
        self.asked = []
        self.words = ["The planks", " are glued [0:03]."]
        self.gate = threading.Semaphore(0)
        self.finds = threading.Semaphore(1000)
        self.arrived = threading.Semaphore(0)
        self.fault = None

    def __call__(self, question, history, at, picture, found):
        self.asked.append((question, [turn.answer for turn in history], at, picture))
        self.finds.acquire()
        if isinstance(self.fault, Exception):
            raise self.fault
        evidence = Evidence(question, (MOMENT,))
        found(evidence)
        self.arrived.release()
        reply = Reply(evidence, "a model", self.pieces(), self.gate.release)
        shown = {"type": "picture", "media": "a" * 32, "time": 3.0, "file": "frames/3.jpg"}
        reply.sent = ({"role": "user", "content": [shown]},)
        return reply

    def pieces(self):
        for word in self.words:
            self.gate.acquire()
            yield word
            self.arrived.release()
        self.gate.acquire()
        if self.fault:
            raise AnswerError("The endpoint broke off. Ask again.")
        return "stop"

    def free(self):
        self.gate = threading.Semaphore(1000)
        return self


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def asked(talk, *questions, **options):
    for question in questions:
        talk.ask(question, **options)
        talk.wait()
    return talk


def picture(path, colour="red", size=(40, 30)):
    Image.new("RGB", size, colour).save(path)
    return path


class TestArriving:
    def test_evidence_and_words_are_seen_before_the_end(self, folder, answers):
        talk = Talk(folder, answers)
        first = talk.ask("How are planks joined?", at=4.0)
        assert (first.question, first.ended, first.at) == ("How are planks joined?", False, 4.0)
        answers.arrived.acquire()
        (now,) = talk.exchanges
        assert (now.evidence.moments, now.text, now.ended) == ((MOMENT,), "", False)
        answers.gate.release(2)
        answers.arrived.acquire()  # the first word was taken, or the second would not be asked for
        assert talk.exchanges[0].text.startswith("The planks")
        assert not talk.exchanges[-1].ended
        answers.gate.release(5)
        talk.wait()
        (now,) = talk.exchanges
        assert (now.text, now.finish, now.answered_by) == ("The planks are glued [0:03].", "stop", "a model")
        assert [(one.time, one.supported) for one in now.citations] == [(3.0, True)]
        assert now.sent[0]["content"][0]["type"] == "picture"
        assert talk.exchanges[-1].ended

    def test_a_second_question_ends_the_first_which_is_kept(self, folder, answers):
        talk = Talk(folder, answers)
        talk.ask("one")
        answers.arrived.acquire()
        answers.gate.release()
        answers.arrived.acquire()
        talk.ask("two")
        first, second = talk.exchanges
        assert (first.question, first.finish, first.error) == ("one", "stopped", "")
        assert first.text.startswith("The planks")
        assert not second.ended
        answers.gate.release(9)
        talk.wait()
        assert [one.finish for one in talk.exchanges] == ["stopped", "stop"]
        assert talk.exchanges[0] == first  # nothing came to it later

    def test_stop_while_evidence_is_looked_for(self, folder, answers):
        answers.finds = threading.Semaphore(0)
        talk = Talk(folder, answers)
        talk.ask("one")
        talk.stop()
        assert [(one.finish, one.evidence) for one in talk.exchanges] == [("stopped", None)]
        answers.finds.release()
        talk.stop()  # nothing is answered any more
        assert len(asked(Talk(folder, Answers().free()), "two").exchanges) == 2

    def test_a_follow_up_is_told_what_came_before(self, folder, answers):
        talk = asked(Talk(folder, answers.free()), "one", "two")
        assert answers.asked[1] == ("two", ["The planks are glued [0:03]."], None, None)
        talk.again(0)
        talk.wait()
        assert answers.asked[2] == ("one", [], None, None)  # as when it was first asked
        assert [one.question for one in talk.exchanges] == ["one", "two", "one"]

    def test_what_goes_wrong_is_said_in_words(self, folder, answers, caplog):
        answers.fault = MediaNotFound("No video has this id.")
        talk = asked(Talk(folder, answers.free()), "one")
        assert (talk.exchanges[0].error, talk.exchanges[0].finish) == ("No video has this id.", "interrupted")
        answers.fault = "in mid-answer"
        asked(talk, "two")
        assert "broke off" in talk.exchanges[1].error
        assert talk.exchanges[1].text == "The planks are glued [0:03]."
        answers.fault = KeyError("a bug")
        with caplog.at_level(logging.ERROR):
            asked(talk, "three")
        assert talk.exchanges[2].error == BUG
        assert "KeyError: 'a bug'" in caplog.text


class TestKept:
    def test_it_is_the_same_after_a_restart(self, folder, answers):
        talk = asked(Talk(folder, answers.free()), "one", "zwei äöü \ud800")
        kept = Talk(folder, answers)
        assert kept.exchanges[0] == talk.exchanges[0]
        assert kept.exchanges[1].question == "zwei äöü ?"  # what is no valid Unicode costs nothing else
        assert asked(kept, "three").exchanges[2].before == 2

    def test_a_question_that_a_restart_interrupted_says_so(self, folder, answers):
        talk = Talk(folder, answers)
        talk.ask("one")  # and the app is gone
        (one,) = Talk(folder, answers).exchanges
        assert (one.question, one.finish, one.error) == ("one", "stopped", RESTARTED)
        talk.stop()

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            '{"format": 99, "exchanges": []}',
            '{"format": 1, "exchanges": [{"question": 3}]}',
            '{"format": 1, "exchanges": [{"question": "a", "picture": "../../x.jpg", "finish": "stop"}]}',
            '{"format": 1, "exchanges": [{"question": "a", "finish": "stop", "sent": [{"role": "user", "content": '
            '[{"type": "picture", "media": "../x", "time": 1.0, "file": "../../x.jpg"}]}]}]}',
        ],
    )
    def test_what_is_damaged_is_put_aside_whole(self, folder, answers, text):
        (folder / "chat.json").write_text(text)
        talk = Talk(folder, answers.free())
        assert talk.exchanges == ()
        (aside,) = folder.glob("chat-damaged-*.json")
        assert aside.read_text() == text
        assert str(aside) in talk.problem
        assert asked(talk, "one").exchanges[0].finish == "stop"
        assert json.loads((folder / "chat.json").read_text())["exchanges"][0]["question"] == "one"

    @pytest.mark.parametrize(("field", "value"), [("media", "../b"), ("image", "../../secret.jpg")])
    def test_a_file_that_leads_out_of_its_folder_is_damaged(self, folder, answers, field, value):
        asked(Talk(folder, answers.free()), "one")
        old = {"media": "a" * 32, "image": "frames/3.jpg"}[field]
        text = (folder / "chat.json").read_text()
        assert f'"{field}": "{old}"' in text
        (folder / "chat.json").write_text(text.replace(f'"{field}": "{old}"', f'"{field}": "{value}"', 1))
        assert Talk(folder, answers).exchanges == ()

    def test_where_it_cannot_be_kept_it_is_shown_and_said(self, folder, answers):
        home = folder / "media"
        home.mkdir()
        talk = Talk(home, answers.free())
        home.rmdir()
        asked(talk, "one")
        assert talk.exchanges[0].finish == "stop"
        assert "not kept" in talk.problem
        assert not home.exists()

    def test_the_first_question_counts_as_kept_while_it_is_written(self, folder, answers, monkeypatch):
        """Else a page that looks just then takes it for one of a video that was removed."""
        talk, seen = Talk(folder, answers.free()), []

        def write(path, content):
            seen.append((len(talk.exchanges), path.exists(), talk.is_kept()))
            write_whole(path, content)

        monkeypatch.setattr("pipeline.talks.write_whole", write)
        asked(talk, "one")
        assert seen[0] == (1, False, True)
        (folder / "chat.json").unlink()
        assert not talk.is_kept()

    def test_questions_are_forgotten(self, folder, answers):
        talk = asked(Talk(folder, answers.free()), "one", "two", "three")
        talk.clear()
        assert Talk(folder, answers).exchanges == ()

    def test_the_last_question_is_replaced_in_other_words(self, folder, answers):
        talk = asked(Talk(folder, answers.free()), "one", "tow", at=7.0)
        talk.edit(1, " two ")
        talk.wait()
        assert [(one.question, one.before, one.at) for one in talk.exchanges] == [("one", 0, 7.0), ("two", 1, 7.0)]
        assert answers.asked[-1][1] == ["The planks are glued [0:03]."]

    def test_forgetting_what_is_being_answered_ends_it(self, folder, answers):
        talk = Talk(folder, answers)
        talk.ask("one")
        answers.arrived.acquire()
        talk.clear()
        answers.gate.release(9)
        assert not talk.exchanges
        assert asked(talk, "two").exchanges[0].question == "two"
        assert len(talk.exchanges) == 1


class TestPersons:
    def test_nobody_sees_what_another_asks(self, folder, answers):
        mine = asked(Talk(folder, answers.free(), person="a" * 32), "one", picture=picture(folder / "a.png"))
        theirs = asked(Talk(folder, answers, person="b" * 32), "two")
        nobodys = Talk(folder, answers)
        assert [one.question for one in mine.exchanges] == ["one"]
        assert [one.question for one in theirs.exchanges] == ["two"]
        assert nobodys.exchanges == ()
        assert [one.question for one in Talk(folder, answers, person="a" * 32).exchanges] == ["one"]
        theirs.clear()
        assert mine.picture(mine.exchanges[0]).is_file()

    @pytest.mark.parametrize("person", ["../../x", "a" * 31, "A" * 32, "a" * 32 + "\n"])
    def test_a_person_is_never_a_path(self, folder, answers, person):
        with pytest.raises(ValueError, match="no person"):
            Talk(folder, answers, person=person)


class TestPictures:
    def test_a_picture_is_kept_as_long_as_its_question(self, folder, answers):
        talk = asked(Talk(folder, answers.free()), "where is this?", picture=picture(folder / "a.png"))
        (one,) = talk.exchanges
        file = talk.picture(one)
        assert file.parent.name == "chat-pictures"
        assert file.read_bytes() == answers.asked[0][3]
        talk.edit(0, "what is this?")
        talk.wait()
        assert talk.exchanges[0].picture == one.picture
        assert answers.asked[1][3] == file.read_bytes()
        talk.clear()
        assert not file.exists()

    def test_a_picture_alone_is_a_question(self, folder, answers):
        talk = asked(Talk(folder, answers.free()), "", picture=picture(folder / "a.png"))
        assert talk.exchanges[0].question == ""
        assert talk.exchanges[0].finish == "stop"

    def test_what_is_no_picture_is_refused_and_nothing_is_asked(self, folder, answers):
        talk = Talk(folder, answers)
        with pytest.raises(SourceError, match="cannot be read"):
            talk.ask("where is this?", picture=b"GIF89a, or so")
        assert talk.exchanges == ()


def test_a_talk_about_a_video_goes_with_it_and_that_about_the_library_stays(library):
    (film,) = library.everything()[0]
    talk = library.talk(film.id[:8])
    assert talk is library.talk(film.id)
    asked(talk, "Which pigment is green?", at=1.0)
    (one,) = talk.exchanges
    assert (one.finish, one.answered_by, one.error) == ("stop", "quotes", "")
    assert "pigment" in one.text
    assert asked(talk, "What is this?", at=20.0).exchanges[1].evidence.kind == "now"
    assert asked(library.talk(film.id, "a" * 32), "Which pigment is red?").exchanges[0].ended
    assert len(library.talk(film.id).exchanges) == 2
    everything = library.talk()
    assert "pigment" in asked(everything, "Which pigment is green?").exchanges[0].text
    folders.remove(library.settings.data_dir, film.id)  # by another process
    read_here(Path(film.source), library.settings)
    assert library.talk(film.id).exchanges == ()
    library.remove(film.id)
    assert not list(library.settings.data_dir.glob(f"*{film.id}*"))
    with pytest.raises(MediaNotFound):
        library.talk(film.id)
    asked(talk, "And now?")  # a page that is still open
    assert not list(library.settings.data_dir.glob(f"*{film.id}*"))
    assert library.talk() is everything
