"""A picture in a question: where it is shown is found with nothing configured, whatever was done to it."""

import dataclasses
from io import BytesIO

import pytest
from chat_server import chat_server
from PIL import Image, ImageDraw, ImageEnhance, ImageFont
from tiny_clip import make_clip

from pipeline import build
from pipeline.errors import SourceError
from pipeline.part_status import BY_LOOKS
from pipeline.search import likeness


def jpeg(image, quality=85):
    out = BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def scaled(image):
    return jpeg(image.resize((image.width * 2 // 3, image.height * 2 // 3)), 40)


def cut(image):
    width, height = image.size
    return jpeg(image.crop((width // 20, height // 12, width, height * 23 // 24)))


def framed(image):
    """As on a page: a light window around it."""
    page = Image.new("RGB", (image.width * 5 // 4, image.height * 5 // 4), (238, 238, 238))
    page.paste(image, (image.width // 10, image.height // 6))
    return jpeg(page)


def brighter(image):
    return jpeg(ImageEnhance.Brightness(image).enhance(1.3))


def foreign():
    """What is in no film here."""
    image = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(image)
    for n in range(12):
        draw.ellipse((30 * n, 20 * (n % 5), 30 * n + 90, 200 + 10 * n), fill=(20 * n, 255 - 20 * n, 40 * (n % 6)))
    return jpeg(image)


@pytest.fixture
def film_media(library):
    (media,) = library.everything()[0]
    return media


def slide(library, media, seconds):
    frame = next(one for one in media.frames if one.start <= seconds < one.end)
    return Image.open(library.picture(media.id, frame))


class TestWhereItIsShown:
    @pytest.mark.parametrize("change", [jpeg, scaled, cut, framed, brighter])
    def test_it_is_found_whatever_was_done_to_it(self, library, film_media, change):
        evidence = library.find("Where does this appear?", picture=change(slide(library, film_media, 10)))
        assert (evidence.kind, evidence.near) == ("picture", True)
        assert [note for note in evidence.notes if BY_LOOKS in note and "set CLIP_MODEL" in note]
        assert "pictures" in evidence.looked_at
        best = evidence.moments[0]
        assert best.why == ("it is this picture",)
        assert 7 <= best.start <= 10 < best.end <= 15
        assert {one.kind for one in best.passages} >= {"subtitle"}

    def test_a_picture_alone_is_a_question(self, library, film_media):
        reply = library.ask("", [film_media.id], picture=jpeg(slide(library, film_media, 10)))
        text = "".join(reply)
        assert "This picture is shown here" in text
        assert "green colour" in text
        assert all(citation.supported for citation in reply.citations)

    def test_one_that_is_not_there_is_not_near(self, library):
        evidence = library.find("Where does this appear?", picture=foreign())
        assert not evidence.near
        assert not [one for one in evidence.moments if "it is this picture" in one.why]

    def test_one_of_a_single_colour_is_like_nothing(self, library):
        reply = library.ask("", picture=jpeg(Image.new("RGB", (400, 300), "navy")))
        assert "Nothing that looks like this picture" in "".join(reply)

    def test_what_comes_after_it(self, library, film_media):
        picture = jpeg(slide(library, film_media, 2))
        evidence = library.find("What comes after this?", picture=picture)
        assert evidence.kind == "after"
        assert "pigment" in evidence.moments[0].passages[0].text
        assert evidence.moments[1].start == 0.0

    def test_words_of_the_question_are_looked_for_too(self, library, film_media):
        evidence = library.find("What is said about volcanoes?", picture=jpeg(slide(library, film_media, 2)))
        assert evidence.moments[0].start == 0.0
        assert any("volcanoes" in passage.text for moment in evidence.moments for passage in moment.passages)

    def test_words_on_a_picture_that_is_not_there_are_looked_for(self, library):
        image = Image.new("RGB", (900, 300), "white")
        ImageDraw.Draw(image).text((40, 110), "volcanoes next week", fill="black", font=ImageFont.load_default(64))
        evidence = library.find("", picture=jpeg(image))
        assert any("volcanoes" in passage.text for passage in evidence.moments[0].passages)

    def test_what_is_no_picture_is_refused(self, library):
        with pytest.raises(SourceError):
            library.find("Where is this?", picture=b"no picture")


def test_clip_finds_what_the_picture_shows(library, film_media, tmp_path):
    library.close()
    with_clip = build(dataclasses.replace(library.settings, clip_model=str(make_clip(tmp_path / "clip"))))
    with_clip.reindex()
    evidence = with_clip.find("Where is this?", picture=jpeg(slide(with_clip, film_media, 10)))
    assert not [note for note in evidence.notes if BY_LOOKS in note]
    assert 7 <= evidence.moments[0].start <= 10
    assert any("looks like the picture" in moment.why for moment in evidence.moments)
    found = with_clip.similar(film_media.id, film_media.frames[0])
    assert all(-1 <= score <= 1.001 for *_, score in found)
    with_clip.close()


def test_frames_like_a_kept_one_are_neither_itself_nor_its_neighbours(library, film_media):
    first = film_media.frames[0]
    found = library.similar(film_media.id, first)
    assert all(frame.start > first.end + 15 for _, frame, _ in found)
    assert [score for *_, score in found] == sorted((score for *_, score in found), reverse=True)


def test_a_model_sees_the_picture_first(library, film_media):
    with chat_server() as server:
        settings = dataclasses.replace(library.settings, vllm_base_url=server.base_url)
        library.close()
        asking = build(settings)
        talk = asking.talk(film_media.id)
        talk.ask("What is this?", picture=cut(slide(asking, film_media, 10)))
        talk.wait()
        (one,) = talk.exchanges
        request = server.chats[-1]
        assert (one.finish, one.error) == ("stop", "")
        content = request.body["messages"][-1]["content"]
        assert "The picture that came with the question" in content[0]["text"]
        assert content[1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
        assert request.images > 1  # and where it is shown
        kept = one.sent[-1]["content"]
        assert kept[1] == {"type": "picture", "added": True}
        assert [part["media"] for part in kept[2:] if part["type"] == "picture"] == [film_media.id] * (
            request.images - 1
        )
        assert "base64" not in (asking.folder(film_media.id) / "chat.json").read_text()
        asking.close()


class TestLikeness:
    def test_a_part_of_another_shape_lies_where_it_was_cut(self, library, film_media, tmp_path):
        image = slide(library, film_media, 10)
        path = tmp_path / "frame.jpg"
        path.write_bytes(jpeg(image))
        part = jpeg(image.crop((image.width // 4, 0, image.width, image.height)))
        grids = likeness.Looks().get_image_embedding_batch([str(path)])
        (rough,) = likeness.overlay(part, grids, likeness.shape(path))
        lay = likeness.exactly(part, path, rough)
        assert lay.inside
        assert lay.likeness > likeness.SAME
        assert lay.box == pytest.approx((0.25, 0, 0.75, 1), abs=0.03)

    def test_a_picture_that_cannot_be_read_is_like_nothing(self, tmp_path):
        (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
        grids = likeness.Looks().get_image_embedding_batch([str(tmp_path / "broken.jpg"), str(tmp_path / "gone.jpg")])
        assert [lay.likeness for lay in likeness.overlay(foreign(), grids, 4 / 3)] == [0.0, 0.0]
