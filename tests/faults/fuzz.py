"""Hostile files through the guarded door: `python tests/faults/fuzz.py [--mutants 2000] [--strace]`.

In: every file of ../shared/media/broken where that is, bombs made here, and seeded mutants of small real files of many
kinds. Out: one table of what became of them. A file is read, read partly, or refused in one line; what its decoder does
otherwise (crash, hang, eat memory) must stay in its process. Exit code 1 when anything got out or was left behind.
"""

import argparse
import logging
import os
import random
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import hostile  # noqa: E402
from make_film import make_film  # noqa: E402
from voice import speak  # noqa: E402

from pipeline.errors import PipelineError, SourceError  # noqa: E402
from pipeline.media import added, burst, clips, guard, reading, subtitles, video  # noqa: E402
from pipeline.settings import Settings  # noqa: E402

SHARED = ROOT.parent / "shared" / "media"
SMALL = 200_000  # bytes of a file that is mutated
LONGEST, LARGEST = 30.0, 4 * 2**30  # s and bytes that one file may take
PICTURES = (".jpg", ".png", ".webp", ".gif", ".bmp", ".tif")
NAMES = (
    b"moov",
    b"trak",
    b"mdia",
    b"minf",
    b"stbl",
    b"stsd",
    b"stts",
    b"stsc",
    b"stsz",
    b"stco",
    b"ctts",
    b"elst",
    b"mvhd",
)
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
OURS = ("frames", "closer", "transcript.vtt", "transcript.txt", "speech.jsonl")  # what reading leaves
ADDRESS = b"127.0.0.1:9/"  # where the playlist of ../shared would fetch from


@dataclass(frozen=True)
class Fate:
    """What became of one file."""

    name: str
    kind: str  # "read", "partly", "refused", "crash", "hang", "memory", "fault", "ESCAPED"
    seconds: float
    said: str = ""
    left: tuple[str, ...] = ()  # files that should not be there


# -- files


def seeds(folder: Path, shared: Path = SHARED) -> list[Path]:
    """Small sound files of many kinds."""
    small = {"seconds": 3, "size": (160, 90)}
    words = [(0.5, 1.5, "<i>Light</i> is swallowed"), (2, 2.8, "Two lines\nof words")]
    made = [
        make_film(folder / "a.mp4", **small, subtitles=words),
        make_film(folder / "b.mkv", **small, subtitles=words, gop=20, codec_options={"x264-params": "open-gop=1"}),
        make_film(folder / "c.ts", **small),
        make_film(folder / "d.mov", **small, codec="mjpeg"),
        make_film(folder / "e.avi", **small, codec="mpeg4", sound=False),
        make_film(folder / "f.webm", **small, codec="libvpx-vp9", sound=False, codec_options={"deadline": "realtime"}),
        make_film(folder / "g.mp4", **small, codec="libx265", codec_options={"x265-params": "log-level=none"}),
        make_film(folder / "h.h264", **small, sound=False),
        make_film(folder / "i.flv", **small),
        make_film(folder / "j.mkv", **small, codec="ffv1"),
        make_film(folder / "k.webm", **small, codec="libvpx", sound=False, codec_options={"deadline": "realtime"}),
        make_film(folder / "l.mp4", **small, container_options={"movflags": "frag_keyframe+empty_moov"}),
    ]
    for name, codec in {"m.wav": "pcm_s16le", "n.flac": "flac", "o.ogg": "libopus", "p.mp3": "libmp3lame"}.items():
        with suppress(ValueError):  # a codec that is not built in
            made.append(_sound(folder / name, codec))
    made += [_sound(folder / "q.m4a", "aac"), _sound(folder / "r.mov", "pcm_s16le")]
    made += _written(folder) + _drawn(folder)
    if shared.is_dir():
        files = [*(shared / "video").glob("*.m*"), *(shared / "speech").glob("*[!n]"), *(shared / "images").iterdir()]
        made += [_shortened(path, folder) for path in sorted(files)]
    return made


def _sound(path: Path, codec: str) -> Path:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=16_000, layout="mono")
        samples = speak(2.0)
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=16_000)
        for at in range(0, len(samples) - 1152, 1152):
            block = av.AudioFrame.from_ndarray(samples[None, at : at + 1152], format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 16_000, at, Fraction(1, 16_000)
            for one in resampler.resample(block):
                out.mux(stream.encode(one))
        out.mux(stream.encode(None))
    return path


def _written(folder: Path) -> list[Path]:
    cues = [(f"00:00:{n:02},000 --> 00:00:{n + 1:02},500", f"<b>Word {n}</b> and more & more") for n in range(0, 50, 2)]
    srt = "".join(f"{n}\n{when}\n{text}\n\n" for n, (when, text) in enumerate(cues, 1))
    vtt = "WEBVTT\nLanguage: en\n\nNOTE x\n\nSTYLE\n::cue{}\n\n" + srt.replace(",", ".")
    (folder / "s.srt").write_text(srt)
    (folder / "t.vtt").write_text(vtt)
    (folder / "u.srt").write_text(srt, encoding="utf-16")
    return [folder / "s.srt", folder / "t.vtt", folder / "u.srt"]


def _drawn(folder: Path) -> list[Path]:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(5).integers(0, 255, (60, 90, 3), np.uint8)
    image = Image.fromarray(np.kron(noise, np.ones((2, 2, 1), np.uint8)))
    for suffix in PICTURES:
        image.save(folder / f"picture{suffix}")
    return [folder / f"picture{suffix}" for suffix in PICTURES]


def _shortened(path: Path, folder: Path) -> Path:
    """The first seconds of a real file, packet by packet; a picture made smaller."""
    import av
    from PIL import Image

    target = folder / path.name
    if path.stat().st_size <= SMALL:
        return Path(shutil.copyfile(path, target))
    if path.suffix in PICTURES:
        with Image.open(path) as image:
            image.thumbnail((300, 300))
            image.save(target)
        return target
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        kept = {s.index: out.add_stream_from_template(s) for s in source.streams if s.type in ("video", "audio")}
        for packet in source.demux(*(source.streams[index] for index in kept)):
            if not packet.size or (packet.pos and packet.pos > SMALL):
                break
            if packet.dts is None:  # the first ones of Matroska
                continue
            packet.stream = kept[packet.stream.index]
            out.mux(packet)
    return target


def copied(folder: Path, address: str) -> list[Path]:
    """The broken files beside the checkout; those that would have something fetched, from here."""
    for path in sorted((SHARED / "broken").iterdir()) if SHARED.is_dir() else []:
        (folder / path.name).write_bytes(path.read_bytes().replace(ADDRESS, address.encode()))
    return sorted(folder.iterdir())


def bombs(folder: Path, address: str) -> list[Path]:
    """Files that are small and ask for much, or that would have something fetched."""
    import av
    from PIL import Image

    film = make_film(folder / "plain.mp4", seconds=2, size=(160, 90)).read_bytes()
    at = film.index(b"mvhd")
    lie = bytearray(film)
    struct.pack_into(">I", lie, at + 4 + 16, 0xFFFFFFF0)  # the length that the header tells
    (folder / "bomb-length.mp4").write_bytes(lie)
    make_film(folder / "bomb-jump.mp4", seconds=4, when=lambda n: n / 10 + (1e5 if n >= 20 else 0), sound=False)
    make_film(folder / "bomb-jumps.mkv", seconds=4, when=lambda n: n * 3000.0, sound=False)
    pcm = bytearray(_sound(folder / "pcm.mov", "pcm_s16le").read_bytes())
    struct.pack_into(">I", pcm, pcm.index(b"stsz") + 12, 0x7FFFFFFF)  # so many samples, told in four bytes
    (folder / "bomb-samples.mov").write_bytes(pcm)
    stts = bytearray(film)
    struct.pack_into(">I", stts, stts.index(b"stts") + 12, 0x7FFFFFFF)
    (folder / "bomb-times.mp4").write_bytes(stts)
    for side in (16_384, 30_000):
        Image.new("1", (side, side)).save(folder / f"bomb-{side}.png")
        jpegs = make_film(folder / "jpegs.mov", seconds=1, size=(160, 90), codec="mjpeg", sound=False).read_bytes()
        jpegs = jpegs.replace(struct.pack(">BHH", 8, 90, 160), struct.pack(">BHH", 8, side, side))
        (folder / f"bomb-{side}.mov").write_bytes(
            jpegs.replace(struct.pack(">HH", 160, 90), struct.pack(">HH", side, side))
        )
    Image.new("L", (16_000, 4_000)).save(folder / "bomb-64mp.png")
    Image.new("L", (16_000, 4_000)).save(folder / "bomb-64mp.webp", lossless=True)
    text = zlib.compress(bytes(200_000_000))
    (folder / "bomb-text.png").write_bytes(_png_with_text((folder / "bomb-16384.png").read_bytes(), text))
    with av.open(str(folder / "bomb-streams.mkv"), "w") as out:
        for _ in range(1000):
            stream = out.add_stream("subrip")
            stream.codec_context.subtitle_header = b"[Script Info]\n"
        packet = av.Packet(b"words")
        packet.stream, packet.pts, packet.dts, packet.duration = stream, 0, 0, 1000
        packet.time_base = Fraction(1, 1000)
        out.mux(packet)
    (folder / "bomb.srt").write_text("0:0 --> 0:1\na\n\n" * 300_000)
    (folder / "bomb-large.srt").write_text("0:0 --> 0:1\na\n\n" * 400_000)
    (folder / "bomb-tags.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\n" + "<a" * 2_000_000 + "\n")
    (folder / "bomb-line.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\n" + "&lt;" * 1_200_000)
    (folder / "bomb-digits.srt").write_text("9" * 4_900_000)
    (folder / "bomb-latin.srt").write_bytes(b"1\n00:00:00,000 --> 00:00:01,000\n" + b"\xe9\xe8 " * 1_600_000)
    address = f"http://{address}probe.ts"
    for number, text in enumerate(
        (
            f"#EXTM3U\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n",
            f"ffconcat version 1.0\nfile '{address}'\n",
            f"ffconcat version 1.0\nfile '{folder}/plain.mp4'\n",
            f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{address}</BaseURL></MPD>',
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
            f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{address}"/></svg>',
        )
    ):
        for suffix in (".mp4", ".m3u8", ".mkv"):
            (folder / f"list-{number}{suffix}").write_text(text)
    with av.open(str(folder / "reference.mov"), "w") as out:  # a QuickTime file may name another one
        out.add_stream("mpeg4", rate=1).width = 16
    return sorted(path for path in folder.iterdir() if path.stat().st_size)


def _png_with_text(png: bytes, packed: bytes) -> bytes:
    data = b"x\0\0" + packed
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    return png[:33] + chunk + png[33:]


def mutants(sound: Sequence[Path], count: int, seed: int, folder: Path) -> Iterator[Path]:
    """The n-th is the same for the same seed and files, on every machine."""
    for number in range(count):
        chance = random.Random(f"{seed}-{number}")
        origin = sound[number % len(sound)]
        content = bytearray(origin.read_bytes())
        for _ in range(chance.choice((1, 1, 2, 4))):
            content = chance.choice(CHANGES)(content, chance, sound)
        suffix = origin.suffix
        if chance.random() < 0.1:
            suffix = chance.choice(sound).suffix
        path = folder / f"mutant-{number:05}{suffix}"
        path.write_bytes(content)
        yield path


def _cut(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    return content[: chance.randrange(len(content) + 1)]


def _flip(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    for _ in range(chance.choice((1, 8, 64, 512)) if content else 0):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def _header(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    for _ in range(chance.choice((1, 4, 16)) if len(content) > 8 else 0):
        struct.pack_into(">I", content, chance.randrange(min(len(content), 2000) - 4), chance.choice(EXTREMES))
    return content


def _swap(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    one, two = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    length = min(chance.choice((16, 256, 4096)), two - one)
    content[one : one + length], content[two : two + length] = content[two : two + length], content[one : one + length]
    return content


def _double(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    at, length = chance.randrange(len(content) + 1), chance.choice((16, 256, 4096, 65536))
    return content[: at + length] + content[at : at + length] * chance.choice((1, 2, 20)) + content[at + length :]


def _drop(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at + chance.choice((1, 3, 16, 256, 4096)) :]


def _boxes(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    """The size of a box, a count in it, or any four bytes where there are no boxes."""
    places = [place for name in NAMES if (place := content.find(name)) >= 4]
    if not places:
        return _header(content, chance, sound)
    for _ in range(chance.choice((1, 2, 4))):
        place = chance.choice(places) + chance.choice((-4, -4, 8, 12, 16, 20))
        if place + 4 <= len(content):
            value = chance.choice((*EXTREMES, chance.randrange(1 << 32), chance.randrange(1 << 12)))
            struct.pack_into(">I", content, place, value)
    return content


def _join(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    other = chance.choice(sound).read_bytes()
    return content + other if chance.random() < 0.5 else content[: len(content) // 2] + other


def _noise(content: bytearray, chance: random.Random, sound: Sequence[Path]) -> bytearray:
    at = chance.randrange(len(content) + 1)
    noise = chance.randbytes(chance.choice((4, 64, 1024)))
    return content[:at] + noise + content[at + len(noise) :]


CHANGES = (_cut, _flip, _flip, _header, _swap, _double, _drop, _boxes, _boxes, _join, _noise)


# -- feeding


def feed(path: Path, home: Path, settings: Settings, with_clip: bool = False, at_once: bool = False) -> Fate:
    """All that the app does with a file from outside, each part through its own door, or all of it at once."""
    began = time.monotonic()
    kind, said = "read", ""
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    try:
        if path.suffix in PICTURES:
            notes = _look_at(path, settings)
        elif at_once and not subtitles.is_subtitles(path):
            (home / "closer").mkdir()
            notes = guard.run(hostile.read_all, path, home, limits=settings.limits)
        else:
            notes = _read(path, home, settings, with_clip)
        kind, said = ("partly", notes[0]) if notes else ("read", "")
    except SourceError as error:
        kind, said = "refused", str(error)
        if "\n" in said:
            kind = "ESCAPED"
    except PipelineError as error:
        kind, said = "ESCAPED", f"{type(error).__name__}: {error}"
    except Exception as error:
        kind, said = "ESCAPED", repr(error)
    for word, what in {
        "crashed on it": "crash",
        "was given up": "hang",
        "GiB of memory": "memory",
        "a fault in": "fault",
    }.items():
        if word in said and kind != "ESCAPED":
            kind = what
    left = tuple(
        str(one)
        for one in home.rglob("*")
        if one.is_file() and (one.relative_to(home).parts[0] not in OURS or one.name[0] == ".")
    )
    return Fate(path.name, kind, time.monotonic() - began, said, left)


def _look_at(path: Path, settings: Settings) -> list[str]:
    assert added.to_jpeg(path, settings.limits)[:2] == b"\xff\xd8"
    return []


def _read(path: Path, home: Path, settings: Settings, with_clip: bool) -> list[str]:
    video.identify(path, settings.limits)
    facts = None if subtitles.is_subtitles(path) else guard.run(video.probe, path, limits=settings.limits)
    media = reading.begin_media(path, facts, "0" * 32, home, settings, lambda progress: None)
    notes = [
        one.note
        for part, one in media.coverage.items()
        if part in ("frames", "speech") and one.state in ("partly", "off")
    ]
    if facts and facts.has_audio:
        try:
            for _ in reading._sound_of(path, 0.0, settings.limits, notes.append):
                pass
        except SourceError as error:
            notes.append(str(error))
    if facts and facts.has_video:
        (home / "closer").mkdir()
        for work, args in (
            (clips.still, (0.0, home / "closer" / "still.jpg")),
            (burst.decode, ([], home, 0.0, 2.0, time.monotonic() + 3, 10)),
            *([(clips.cut, (0.0, 1.0, home / "closer" / "clip.mp4"))] if with_clip else []),
        ):
            try:
                guard.run(work, path, *args, limits=settings.limits)
            except SourceError as error:
                notes.append(str(error))
    if not media.frames and not media.passages and notes and not (facts and facts.has_audio):
        raise SourceError(notes[0])
    # The worst is what is told.
    return sorted(
        notes, key=lambda note: not any(word in note for word in ("crashed on", "given up", "GiB of", "a fault in"))
    )


class Listener:
    """Counts who connects to where a hostile playlist points."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}/"
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.count += 1  # before the other side can go on
                connection.close()


def children() -> list[int]:
    """The processes that this one started and that still are there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def feed_all(
    paths: Iterator[Path], home: Path, settings: Settings, jobs: int, every: int = 20, at_once: bool = False
) -> list[Fate]:
    """Feed them, a few at a time; each `every`th is cut into a clip, too."""

    def one(numbered: tuple[int, Path]) -> Fate:
        number, path = numbered
        fate = feed(path, home / path.name, settings, number % every == 0, at_once)
        shutil.rmtree(home / path.name)
        return fate

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, enumerate(paths)))


def table(groups: dict[str, list[Fate]]) -> str:
    kinds = ("read", "partly", "refused", "crash", "hang", "memory", "fault", "ESCAPED")
    lines = [f"{'files':<12}{'runs':>6}" + "".join(f"{kind:>9}" for kind in kinds) + f"{'left':>6}{'worst s':>9}"]
    for name, fates in groups.items():
        counted = Counter(fate.kind for fate in fates)
        worst = max((fate.seconds for fate in fates), default=0.0)
        left = sum(len(fate.left) for fate in fates)
        lines.append(
            f"{name:<12}{len(fates):>6}" + "".join(f"{counted[kind]:>9}" for kind in kinds) + f"{left:>6}{worst:>9.1f}"
        )
    return "\n".join(lines)


def traced(arguments: Sequence[str]) -> int:
    """The same under strace, where it is there: which connections any of the processes tried, to anywhere."""
    with tempfile.NamedTemporaryFile("r") as told:
        command = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", told.name]
        code = subprocess.run([*command, sys.executable, __file__, *arguments], check=False).returncode
        tried = [line for line in told.read().splitlines() if "AF_INET" in line]
    print(f"connections tried, by strace: {len(tried)}", *tried[:5], sep="\n")
    return code or int(bool(tried))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="where files that got out, crashed or hung are kept")
    parser.add_argument("--strace", action="store_true", help="count every connection that is tried")
    options = parser.parse_args(arguments)
    if options.strace:
        return traced([one for one in arguments or sys.argv[1:] if one != "--strace"])
    logging.basicConfig(level=logging.WARNING)
    listener, before = Listener(), len(os.listdir("/proc/self/fd"))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("seeds", "bombs", "mutants", "broken", "data"):
            (place / name).mkdir()
        settings = replace(Settings(data_dir=place / "data", media_roots=(place,)), screen_text=False)
        groups = {
            "broken": feed_all(
                iter(copied(place / "broken", listener.address)), place / "home", settings, options.jobs, 5
            ),
            "bombs": feed_all(
                iter(bombs(place / "bombs", listener.address)), place / "home", settings, options.jobs, 5
            ),
        }
        made = mutants(seeds(place / "seeds"), options.mutants, options.seed, place / "mutants")
        groups["mutants"] = feed_all(made, place / "home", settings, options.jobs)
        every = [fate for fates in groups.values() for fate in fates]
        for fate in every:
            if fate.kind in ("crash", "hang", "memory", "fault", "ESCAPED") or fate.left or fate.seconds > LONGEST / 2:
                print(f"{fate.name}: {fate.kind}, {fate.seconds:.1f} s, {fate.said[-1500:]} {' '.join(fate.left)}")
                if options.keep:
                    options.keep.mkdir(exist_ok=True)
                    for group in ("broken", "bombs", "mutants"):
                        with suppress(OSError):
                            shutil.copy(place / group / fate.name, options.keep)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(table(groups))
    print(
        f"largest process {largest / 2**20:.0f} MiB; connections {listener.count}; "
        f"processes left {len(children())}; open files {before} -> {len(os.listdir('/proc/self/fd'))}"
    )
    bad = [fate for fate in every if fate.kind == "ESCAPED" or fate.left or fate.seconds > LONGEST]
    return int(bool(bad or largest > LARGEST or listener.count or children()))


if __name__ == "__main__":
    sys.exit(main())
