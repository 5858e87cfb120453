"""Pictures of every state of the page: `python tests/screenshots.py FOLDER [--only NAME ...]`.

In: nothing but this checkout; with ../shared beside it real videos stand beside the ones made here. Out: in FOLDER one
PNG a state, width and theme, and index.html with all of them. Whoever changes the page looks at these before and after.
Knows nothing of what is right: it presses what a person presses and waits for what then shows.
"""

import argparse
import html
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chat_server import ChatServer, chat_server
from make_film import make_film
from served import ROOT, chromium, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SHARED = ROOT.parent / "shared"
SCREENS = {"desk": ((1280, 800), (1920, 1080)), "phone": ((390, 844),)}  # pixels; each is loaded once
THEMES = ("light", "dark")
PATIENCE = 60_000  # ms, for one thing to show
BETWEEN = 6.0  # s from one sentence of the talk made here to the next

BREAD = {
    "Why bread rises": "Welcome. Today we follow a loaf from flour to crust. Bread is flour, water, salt and time. "
    "Everything else is a living thing at work. We shall look at that living thing first. "
    "Then at the net that holds its breath, and last at the oven.",
    "Yeast: a fungus that feeds on sugar": "Yeast is a fungus of a single cell. A gram of it holds ten billion cells. "
    "Enzymes in the flour cut its starch into maltose. The yeast eats the maltose. "
    "What it gives back is carbon dioxide and a little alcohol. The gas lifts the dough. "
    "The alcohol leaves in the oven.",
    "Gluten: the net that holds the gas": "Two proteins of wheat meet as soon as water is there. "
    "They are called gliadin and glutenin. Together they form gluten. Gluten stretches and springs back. "
    "Think of ten thousand small balloons that share their walls. Rye has hardly any gluten, so its loaves stay flat. "
    "Kneading lines the strands up. Ten minutes by hand are enough.",
    "The window test": "How do you know when to stop? Take a piece of dough as large as a walnut. "
    "Pull it slowly until light shines through. If it tears at once, knead for two more minutes. "
    "If it holds like a window, the net is ready.",
    "Temperature: 24 degrees": "Yeast works at any temperature between 4 and 40 degrees. "
    "At 24 degrees the dough doubles in ninety minutes. Every 8 degrees more double the speed. "
    "But faster is not better. Flavour comes from slow acids, and they need the night. "
    "So many bakers let the dough rest in the fridge. At 4 degrees it takes eighteen hours. "
    "Above 45 degrees the yeast dies.",
    "Salt: 2 percent of the flour": "Salt is weighed against the flour, not the dough. Two percent is the rule. "
    "Salt slows the yeast and makes the net stronger. Without salt the dough runs and tastes of paper. "
    "Never put salt and yeast on the same heap.",
    "Shaping and the last rise": "Shaping gives the loaf a skin under tension. Drag the ball over the table with both "
    "hands. The skin should be smooth and tight. Then it rises once more, for about an hour. "
    "Press it with a finger. If the dent comes back halfway, it is time.",
    "In the oven": "The oven is at 240 degrees. For the first ten minutes there must be steam. "
    "Steam keeps the skin soft, so that the loaf can grow. This jump is called oven spring. "
    "At 60 degrees the yeast is dead and the gas still expands. At 70 degrees the starch sets. "
    "From 140 degrees on the crust turns brown. That is the Maillard reaction.",
    "Summary": "Let me sum up. Yeast makes the gas, gluten holds it, heat sets it. "
    "Give it time and it will give you flavour. Thank you for listening.",
}
# What is said in the talk of ../shared, as Whisper heard it, its names put right.
LAION = """0 Hello and welcome to LAION-400M, an open dataset of CLIP-filtered 400 million image-text pairs.
7 Actually, 413 million image-text pairs.
11 We went to Common Crawl and looked for all the image URLs in it where we also have an alternative text.
18 And then we calculated the image embedding and the text embedding using OpenAI's CLIP model,
24 and kept only those where the cosine similarity is above 0.3.
29 We simply found that above this threshold the quality of the image-text matching seems to be pretty good.
37 And we also provide a k-nearest-neighbour index for similarity search.
42 We are a community project of people who met on Discord, especially the DALL-E PyTorch Discord.
50 We did this to empower independent researchers and machine learning practitioners to train models like DALL-E, CLIP
62 and to easily create domain-specific datasets and study the potentials and pitfalls of large-scale crawled web data.
71 Here you can see our web demo with the query "cute cat".
75 And if you want to build your domain-specific cute cat dataset, you click simply on the download button
83 and you get within one second the 10,000 nearest neighbours in the CLIP space to "cute cat".
90 The same works for "cute pikachu".
93 And we trained on 7 million samples from LAION a DALL-E model on one GPU and got these results.
100 And here you can get our dataset as well as two tools, img2dataset to download the image-text pairs
107 and clip-retrieval for the k-nearest-neighbour index.
112 And you can connect with us, and we are waiting for you to join our community
117 and to help us to build the next dataset, this time in billion scale."""


@dataclass(frozen=True)
class Script:
    """What is asked of one video, and what the model says to it."""

    question: str
    answer: str
    doubtful: str  # a question whose answer names a time that nothing bears out
    doubtful_answer: str
    sought: str  # what is looked for in the transcript


OF_BREAD = Script(
    "How warm should the dough be?",
    "About **24 degrees**: at that temperature the dough doubles in ninety minutes [2:42]. Every 8 degrees "
    "more double the speed [2:48], and above 45 degrees the yeast dies [3:18]. A slow rise in the fridge takes "
    "eighteen hours at 4 degrees [3:12] and is worth it, because flavour comes from slow acids [3:00].",
    "How much salt goes into it?",
    "Two percent, weighed against the flour and not the dough [3:30]. Salt slows the yeast and makes the net stronger "
    "[3:36]. For sweet breads the speaker goes down to one percent [7:45]. Sea salt works as well as table salt.",
    "degrees",
)
OF_LAION = Script(
    "What threshold did they use, and why?",
    "They kept only the pairs whose image and text embeddings have a cosine similarity above **0.3** [0:24]. They "
    "found that above this threshold the quality of the image-text matching seems to be pretty good [0:29]. The slide "
    "shows the same figure beside the 413 million pairs that were left [0:08].",
    "How was the dataset made?",
    "They went to Common Crawl and looked for image URLs that come with an alternative text [0:11], and embedded both "
    "with OpenAI's CLIP [0:18]. The download took three weeks on 40 machines [3:40]. Duplicates were left in.",
    "dataset",
)
FAR = "Who won the football World Cup in 1998?"
FAR_ANSWER = "The video does not say who won the World Cup. What was found is about other things."
OF_ALL = "What is said about a similarity threshold, and about the temperature of dough?"
OF_ALL_ANSWER = (
    "In *LAION-400M* only those pairs are kept whose cosine similarity is above 0.3 [0:24]. In *Why bread rises* the "
    "dough doubles in ninety minutes at 24 degrees [2:42], and above 45 degrees the yeast dies [3:18]."
)


@dataclass
class Stage:
    """The page that is served, and what stands behind it."""

    address: str
    media: Path  # the folder of the videos
    model: ChatServer
    ids: dict[str, str]  # file name -> media id
    star: str  # the file name of the video that is asked about
    script: Script


# -- an empty library


def empty(page: "Page", stage: Stage) -> None:
    page.goto(stage.address)
    page.get_by_label("Path of a video").wait_for()


def path_typed(page: "Page", stage: Stage) -> None:
    type_path(page, stage, stage.media / stage.star)


def path_of_folder(page: "Page", stage: Stage) -> None:
    type_path(page, stage, stage.media)


def path_wrong(page: "Page", stage: Stage) -> None:
    type_path(page, stage, stage.media / "lecture 7.mp4", "stAlert")


def upload_chosen(page: "Page", stage: Stage) -> None:
    empty(page, stage)
    page.locator("input[type=file]").set_input_files(sorted(stage.media.glob("*.mp4"))[:1])
    page.get_by_role("button", name="Read this video").wait_for()


def reading(page: "Page", stage: Stage) -> None:
    """Three in the queue, the first being read."""
    stage.model.behaviour = "drip"  # so that the first does not end before it is photographed
    empty(page, stage)
    settle(page)
    if not page.get_by_role("button", name="Cancel").count():
        type_path(page, stage, stage.media)
        page.get_by_role("button", name="Read these").click()
    page.get_by_text("Waiting: 1 before it.").wait_for()
    page.get_by_test_id("stProgress").filter(has_text="%").filter(has_not_text="Waiting").wait_for()


def being_read(page: "Page", stage: Stage) -> None:
    """Open as soon as it can be asked about, the rest still to come."""
    reading(page, stage)
    page.get_by_role("button", name="Open").wait_for()
    show(page, stage, min(stage.ids, key=lambda name: (not (stage.media / name).exists(), name)))
    page.get_by_test_id("stProgress").wait_for()


# -- one video


def opened(page: "Page", stage: Stage) -> None:
    """Before the first question."""
    show(page, stage, stage.star)
    clear(page)
    page.locator(".st-key-suggestions button").first.wait_for()


def writing(page: "Page", stage: Stage) -> None:
    """The model has said half of its answer."""
    stage.model.behaviour = "gated"
    stage.model.gate.clear()
    ask(page, stage, stage.script.question, stage.script.answer, ended=False)
    page.get_by_text("▍").wait_for()


def answered(page: "Page", stage: Stage) -> None:
    """And the player put at the first of its times."""
    ask(page, stage, stage.script.question, stage.script.answer)
    page.locator("[class*=st-key-answer-] a[href^='#t=']").first.click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 1")
    page.evaluate("() => document.querySelector('video').pause()")


def evidence(page: "Page", stage: Stage) -> None:
    answered(page, stage)
    page.get_by_text("Evidence:").click()
    page.locator("[class*=st-key-save-] button:visible").first.wait_for()


def seen_by_model(page: "Page", stage: Stage) -> None:
    answered(page, stage)
    page.locator("[class*=st-key-saw-] button:visible").last.click()
    page.get_by_text("word for word").wait_for()


def editing(page: "Page", stage: Stage) -> None:
    answered(page, stage)
    page.locator("[class*=st-key-edit-] button:visible").last.click()
    page.get_by_label("Your question").wait_for()


def saving(page: "Page", stage: Stage) -> None:
    answered(page, stage)
    page.get_by_text("Evidence:").click()
    page.locator("[class*=st-key-save-] button:visible").first.click()
    page.get_by_role("textbox", name="From").wait_for()


def saved(page: "Page", stage: Stage) -> None:
    """The ten seconds from where the player stands."""
    answered(page, stage)
    page.locator(".st-key-share button:visible").click()
    page.get_by_role("button", name="Make the clip").click()
    page.get_by_role("dialog").get_by_text("Download (").wait_for()
    playing(page, "[role=dialog] video")


def keeping(page: "Page", stage: Stage) -> None:
    """What can be done with the conversation."""
    answered(page, stage)
    page.locator(".st-key-keep button:visible").first.click()
    page.get_by_text("Clear this chat").wait_for()


def unsupported(page: "Page", stage: Stage) -> None:
    """A time that nothing bears out, and a sentence without one."""
    ask(page, stage, stage.script.doubtful, stage.script.doubtful_answer)


def not_near(page: "Page", stage: Stage) -> None:
    ask(page, stage, FAR, FAR_ANSWER)


def model_down(page: "Page", stage: Stage) -> None:
    stage.model.behaviour = "broken"
    ask(page, stage, "What is shown first?", "")


def chapters(page: "Page", stage: Stage) -> None:
    show(page, stage, "Why bread rises.mp4")
    tab(page, "Chapters")


def transcript(page: "Page", stage: Stage) -> None:
    show(page, stage, "Why bread rises.mp4")
    tab(page, "Transcript")


def transcript_searched(page: "Page", stage: Stage) -> None:
    show(page, stage, "Why bread rises.mp4")
    tab(page, "Transcript")
    page.get_by_label("Search the transcript").fill(OF_BREAD.sought)
    page.keyboard.press("Enter")
    page.get_by_text("sentences", exact=False).first.wait_for()


def frames(page: "Page", stage: Stage) -> None:
    show(page, stage, stage.star)
    tab(page, "Frames")


def similar(page: "Page", stage: Stage) -> None:
    frames(page, stage)
    page.get_by_role("button", name="Find similar").nth(3).click()
    page.get_by_role("button", name="All frames").wait_for()


def read_of_it(page: "Page", stage: Stage) -> None:
    """What was read, and what was not and why."""
    show(page, stage, stage.star)
    page.locator(".st-key-title [data-testid=stPopoverButton], .st-key-title [data-testid=stPopover] button").click()
    page.get_by_text("Search by words").wait_for()


def file_gone(page: "Page", stage: Stage) -> None:
    page.goto(f"{stage.address}/?video={stage.ids['Photosynthesis.mp4']}")
    page.get_by_text("The file is no longer").wait_for()


def transcript_alone(page: "Page", stage: Stage) -> None:
    name = next(name for name in stage.ids if name.endswith(".srt"))
    page.goto(f"{stage.address}/?video={stage.ids[name]}")
    page.get_by_text("A transcript: there is no video").wait_for()


# -- without a model


def opened_without_model(page: "Page", stage: Stage) -> None:
    opened(page, stage)


def quoted(page: "Page", stage: Stage) -> None:
    ask(page, stage, stage.script.question, "")


# -- the library


def all_opened(page: "Page", stage: Stage) -> None:
    page.goto(f"{stage.address}/?video=all")
    page.get_by_text("Ask all your videos at once").wait_for()


def all_answered(page: "Page", stage: Stage) -> None:
    ask(page, stage, OF_ALL, OF_ALL_ANSWER, address="all")


def sidebar(page: "Page", stage: Stage) -> None:
    """The list of videos; on a phone it is behind a button."""
    show(page, stage, stage.star)
    open_sidebar(page)


def removal(page: "Page", stage: Stage) -> None:
    show(page, stage, stage.star)
    open_sidebar(page)
    page.locator(
        "[class*=st-key-opened-] [data-testid=stPopover] button, [class*=st-key-opened-] .st-key-more button"
    ).first.click()
    page.get_by_role("button", name="Remove this").wait_for()


def status(page: "Page", stage: Stage) -> None:
    show(page, stage, stage.star)
    open_sidebar(page)
    page.get_by_test_id("stSidebar").get_by_text("Status", exact=True).click()
    page.get_by_role("button", name="Check again").wait_for()
    page.get_by_role("button", name="Check again").scroll_into_view_if_needed()


State = Callable[["Page", Stage], None]
EMPTY: tuple[State, ...] = (empty, path_typed, path_of_folder, path_wrong, upload_chosen)
HELD: tuple[State, ...] = (reading, being_read)
FULL: tuple[State, ...] = (
    *(unsupported, not_near, model_down),
    *(opened, writing, answered, evidence, seen_by_model, editing, saving, saved, keeping),
    *(chapters, transcript, transcript_searched, frames, similar, read_of_it, file_gone, transcript_alone),
    *(all_opened, all_answered, sidebar, removal, status),
)
QUOTED: tuple[State, ...] = (opened_without_model, quoted)
ALL = (*EMPTY, *HELD, *FULL, *QUOTED)


# -- what a person does


def show(page: "Page", stage: Stage, name: str) -> None:
    page.goto(f"{stage.address}/?video={stage.ids[name]}")
    playing(page)


def playing(page: "Page", video: str = "video") -> None:
    page.wait_for_function("(video) => document.querySelector(video)?.readyState >= 2", arg=video)


def type_path(page: "Page", stage: Stage, path: Path, shows: str = "") -> None:
    empty(page, stage)
    page.get_by_label("Path of a video").fill(str(path))
    page.keyboard.press("Enter")
    page.get_by_test_id(shows).or_(page.locator(".st-key-read-plan button")).first.wait_for()


def ask(page: "Page", stage: Stage, question: str, words: str, ended: bool = True, address: str = "") -> None:
    """Ask in a chat of its own, unless that was asked already."""
    page.goto(f"{stage.address}/?video={address or stage.ids[stage.star]}")
    settle(page)
    chat = page.locator(".st-key-chat")
    if not chat.get_by_text(question).count():
        clear(page)
        stage.model.words = tuple(part + "." for part in words.split(".") if part) if not ended else (words,)
        page.get_by_test_id("stChatInputTextArea").fill(question)
        page.keyboard.press("Enter")
        chat.get_by_text(question).wait_for()
    if ended:
        page.locator("[class*=st-key-again-] button:visible").first.wait_for()


def clear(page: "Page") -> None:
    settle(page)
    if page.get_by_test_id("stChatMessage").count():
        page.locator(".st-key-keep button:visible").first.click()
        page.get_by_role("button", name="Clear this chat").click()
        page.get_by_test_id("stChatMessage").first.wait_for(state="detached")
        settle(page)


def tab(page: "Page", name: str) -> None:
    page.get_by_role("tab", name=name).click()
    settle(page)
    page.locator(".st-key-contents").scroll_into_view_if_needed()


def open_sidebar(page: "Page") -> None:
    settle(page)
    button = page.get_by_test_id("stExpandSidebarButton")
    if button.is_visible():
        button.click()
    page.locator(".st-key-library").wait_for()


SETTLED = """() => new Promise((done) => {
  const began = performance.now();
  let changed = began;
  const watching = new MutationObserver(() => (changed = performance.now()));
  watching.observe(document.body, { subtree: true, childList: true, characterData: true });
  const look = () => {
    const now = performance.now();
    const idle =
      !document.querySelector("[data-test-script-state=running], [data-testid=stSpinner], [data-testid=stSkeleton]") &&
      [...document.images].every((one) => one.complete) && document.fonts.status === "loaded" &&
      [...document.querySelectorAll("video")].every((one) => one.readyState >= 3);
    if ((idle && now - changed > 300) || now - began > 4000) { watching.disconnect(); done(); } // some never rest
    else requestAnimationFrame(look);
  };
  look();
})"""


def settle(page: "Page") -> None:
    """Return when nothing on the page changes any more."""
    page.locator("[data-testid=stApp]").wait_for()
    page.locator("[data-testid=stMainBlockContainer] [data-testid=stElementContainer]").first.wait_for(state="attached")
    page.evaluate(SETTLED)


# -- what is photographed


def make_media(folder: Path) -> None:
    """Three videos to read, of which the talks have words beside them; what else the library holds lies apart."""
    apart = folder.parent / "apart"
    folder.mkdir()
    apart.mkdir()
    said = [(title, words) for title, text in BREAD.items() for words in re.split(r"(?<=[.?]) ", text)]
    starts = [number * BETWEEN for number in range(len(said))]
    slides = {title: start for start, (title, _) in reversed(list(zip(starts, said, strict=True)))}
    bread = folder / "Why bread rises.mp4"
    make_film(
        bread,
        seconds=len(said) * BETWEEN,
        fps=2,
        size=(960, 540),
        slides=sorted((start, title) for title, start in slides.items()),
        counter=False,
    )
    lines = [(start, words) for start, (_, words) in zip(starts, said, strict=True)]
    bread.with_suffix(".srt").write_text(srt(lines))
    words = ((1.0, 6.0, "Plants make sugar out of sunlight."), (8.0, 13.0, "Chlorophyll is what makes them green."))
    make_film(apart / "Photosynthesis.mp4", counter=False, subtitles=words)
    if SHARED.is_dir():
        video = SHARED / "media" / "video"
        shutil.copyfile(video / "laion400m_slide_talk.mp4", folder / "LAION-400M.mp4")
        spoken = [line.split(" ", 1) for line in LAION.splitlines()]
        (folder / "LAION-400M.srt").write_text(srt([(float(start), words) for start, words in spoken]))
        shutil.copyfile(video / "popeye_vobsub_no_audio.mkv", folder / "Sinbad the Sailor.mkv")
        shutil.copyfile(video / "popeye_vobsub_no_audio.srt", folder / "Sinbad the Sailor.srt")
        shutil.copyfile(video / "nasa_13013.mp4", apart / "Webb in the clean room.mp4")
        course = SHARED / "qa" / "hf_course_srt"
        shutil.copyfile(course / "04_the-transformer-architecture.srt", apart / "The transformer architecture.srt")
    else:
        for name in ("Chlorophyll", "Volcanoes"):
            make_film(folder / f"{name}.mp4", slides=((0.0, name), (9.0, "Thank you")), counter=False, sound=False)
        shutil.copyfile(bread.with_suffix(".srt"), apart / "Notes on bread.srt")


def srt(lines: Sequence[tuple[float, str]]) -> str:
    """Subtitles of (s, words), each until the next."""
    ends = [start for start, _ in lines[1:]] + [lines[-1][0] + 5.0]
    blocks = [
        f"{number}\n{clock(start)} --> {clock(end - 0.1)}\n{words}\n"
        for number, ((start, words), end) in enumerate(zip(lines, ends, strict=True), 1)
    ]
    return "\n".join(blocks)


def clock(seconds: float) -> str:
    return f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}".replace(".", ",")


def read_all(data: Path, files: Sequence[Path]) -> None:
    """Read what was not read yet, without a worker each, so that the models are loaded once."""
    from pipeline.settings import Settings
    from pipeline.steps import read

    for file in files:
        if file.exists():
            anywhere = Settings(data_dir=data, media_roots=(Path("/"),))
            read(file, anywhere, False, lambda progress: None, lambda media_id: None)
            if file.stem == "Photosynthesis":
                file.unlink()  # as people do


@contextmanager
def stages(wanted: Sequence[State]) -> Iterator[Iterator[tuple[Stage, Sequence[State]]]]:
    """The page as each group of states needs it, with those of the group that are wanted."""
    sys.path.append(str(ROOT))  # this file is run as it is
    from pipeline.media.sources import sources
    from pipeline.media.video import identify

    with tempfile.TemporaryDirectory(prefix="videos-") as temporary, chat_server() as model:
        media, data = Path(temporary, "talks"), Path(temporary, "library")
        make_media(media)
        star, script = "Why bread rises.mp4", OF_BREAD
        if (media / "LAION-400M.mp4").exists():
            star, script = "LAION-400M.mp4", OF_LAION
        with_model = {"VLLM_BASE_URL": model.base_url}

        def each() -> Iterator[tuple[Stage, Sequence[State]]]:
            files = [one for folder in (media.parent / "apart", media) for one in sources(folder)]
            ids = {one.name: identify(one) for one in files}
            for group, settings in (
                (EMPTY, {}),
                (HELD, with_model | {"CAPTIONS": "on"}),  # the model is what holds a reading up
                (FULL, with_model),
                (QUOTED, {}),
            ):
                if states := [one for one in group if one in wanted]:
                    if group in (FULL, QUOTED):
                        read_all(data, files)
                    with serve(data, **settings) as address:
                        yield Stage(address, media, model, ids, star, script), states

        yield each()


def cancel_all(browser: "Browser", stage: Stage) -> None:
    """End the readings, which would outlive the page."""
    page = browser.new_page()
    empty(page, stage)
    settle(page)
    while page.get_by_role("button", name="Cancel").count():
        page.get_by_role("button", name="Cancel").last.click()
        settle(page)
    page.close()


def photograph(browser: "Browser", stage: Stage, state: State, folder: Path) -> None:
    for screen, sizes in SCREENS.items():
        context = browser.new_context(
            viewport=dict(zip(("width", "height"), sizes[0], strict=True)),
            has_touch=screen == "phone",
            is_mobile=screen == "phone",
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        try:
            state(page, stage)
        except Exception:
            page.screenshot(path=folder / f"{state.__name__}-failed.png")
            raise
        for width, height in sizes:
            page.set_viewport_size({"width": width, "height": height})
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                settle(page)
                page.screenshot(path=folder / picture_name(state, width, theme), animations="disabled")
        context.close()
    stage.model.behaviour = "answer"
    stage.model.gate.set()


def picture_name(state: State, width: int, theme: str) -> str:
    return f"{state.__name__}-{width}-{theme}.png"


def contact_sheet(folder: Path) -> str:
    """A page with every picture that is there, a row each state."""
    columns = [(width, theme) for sizes in SCREENS.values() for width, _ in sizes for theme in THEMES]
    rows = []
    for state in ALL:
        names = [picture_name(state, width, theme) for width, theme in columns]
        cells = [f'<a href="{one}"><img loading="lazy" src="{one}"></a>' * (folder / one).exists() for one in names]
        if any(cells):
            what = html.escape(state.__doc__ or "")
            rows.append(f"<tr><th>{state.__name__}<p>{what}<td>" + "<td>".join(cells))
    heads = "".join(f"<th>{width} {theme}" for width, theme in columns)
    return f"{SHEET}<tr><th>{heads}{''.join(rows)}</table>"


SHEET = """<!doctype html><meta charset=utf-8><title>Screenshots</title><style>
body { font: 14px sans-serif } img { height: 220px; border: 1px solid #999 } th p { font-weight: 400; max-width: 12em }
</style><table>"""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=[one.__name__ for one in ALL], metavar="NAME")
    told = parser.parse_args(arguments)
    told.folder.mkdir(parents=True, exist_ok=True)
    wanted = [one for one in ALL if not told.only or one.__name__ in told.only]
    failed = 0
    with stages(wanted) as served, chromium() as browser:
        from playwright.sync_api import Error

        for stage, states in served:
            for state in states:
                began = time.monotonic()
                try:
                    photograph(browser, stage, state, told.folder)
                    print(f"{state.__name__} ({time.monotonic() - began:.0f} s)", flush=True)
                except Error as error:
                    failed += 1
                    print(f"{state.__name__} FAILED: {error}", file=sys.stderr, flush=True)
            if reading in states or being_read in states:
                cancel_all(browser, stage)
    (told.folder / "index.html").write_text(contact_sheet(told.folder))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
