"""What reading the pictures of a video costs, against moviepy and against what cannot be saved.

    python tests/speed/frames.py FOLDER [--shared ../shared] [--only every250,vfr] [--rounds 3] [--hours 10]

Makes four films in FOLDER, once, cut together from real ones: talks, screens, a street, a feature. Reads each in every
way in turn, and prints CPU seconds (user and system, children included) and how many times less than moviepy's
`write_images_sequence` to PNG that is. The pictures are those of every 5 s. `--hours`: strings one film to that length
without encoding, as mp4 and as mkv, and prints what the process that reads them holds at most, against ten minutes of
the same.
"""

import argparse
import contextlib
import io
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

FPS = 0.2  # Hz, pictures that are taken
# (file, from s, for s): one round of two minutes, played again and again
SCENES = (
    ("laion400m_slide_talk.mp4", 40, 20),
    ("friday.mp4", 0, 6),
    ("intel_one_by_one_no_audio.mp4", 10, 20),
    ("screen_recording_no_audio.mp4", 5, 24),
    ("friday.mp4", 0, 6),
    ("autoeditor_timecode_speech.mp4", 2, 20),
    ("laion400m_slide_talk.mp4", 85, 24),
)
# name: (length s, height in pixels, how it is encoded)
FILMS = {
    "every250": (600, 1080, ["-g", "250"]),
    "every30": (120, 1080, ["-g", "30"]),
    "vfr": (180, 720, ["-g", "250", "-fps_mode", "vfr"]),
    "every1200": (300, 720, ["-g", "1200"]),
}
UNEVEN = "select='if(lt(mod(t,20),10),1,if(lt(mod(t,20),16),not(mod(n,4)),not(mod(n,7))))',"  # 30, 7.5, 4.3 a second


def ffmpeg(*arguments: object) -> None:
    from imageio_ffmpeg import get_ffmpeg_exe

    subprocess.run([get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def make(name: str, folder: Path, media: Path) -> Path:
    """The film of that name, 30 pictures a second but for "vfr", H.264 with B-pictures, with sound."""
    film = folder / f"{name}.mp4"
    if film.exists():
        return film
    length, height, how = FILMS[name]
    scenes = _round(folder, media)
    new = film.with_name(f"new-{film.name}")
    filters = (UNEVEN if name == "vfr" else "") + f"scale=-2:{height}"
    ffmpeg(
        *("-stream_loop", -1, "-i", scenes, "-stream_loop", -1, "-i", media / "speech/librivox_0870.wav"),
        *("-map", "0:v", "-map", "1:a", "-t", length, "-vf", filters, "-c:v", "libx264", "-preset", "veryfast"),
        *("-bf", 3, "-crf", 23, *how, "-c:a", "aac", "-b:a", "96k", new),
    )
    return new.rename(film)


def _round(folder: Path, media: Path) -> Path:
    scenes = folder / "scenes.mkv"
    if not scenes.exists():
        inputs, shaped = [], []
        for number, (file, start, length) in enumerate(SCENES):
            inputs += ["-ss", start, "-t", length, "-i", media / "video" / file]
            shaped.append(
                f"[{number}:v]fps=30,scale=1920:1080:force_original_aspect_ratio=decrease,"
                f"pad=1920:1080:-1:-1,setsar=1,format=yuv420p[v{number}]"
            )
        joined = "".join(f"[v{n}]" for n in range(len(SCENES))) + f"concat=n={len(SCENES)}[v]"
        new = folder / "new-scenes.mkv"
        how = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", 14]
        ffmpeg(*inputs, "-filter_complex", ";".join([*shaped, joined]), "-map", "[v]", *how, new)
        new.rename(scenes)
    return scenes


# -- the ways


def plain(film: Path, folder: Path) -> int:
    from moviepy import VideoFileClip

    with contextlib.redirect_stdout(io.StringIO()), VideoFileClip(str(film), audio=False) as clip:
        return len(clip.write_images_sequence(str(folder / "%05d.png"), fps=FPS, logger=None))


def ours(film: Path, folder: Path, exact: bool = False) -> int:
    from pipeline.media import video

    return len(video.read_frames(film, folder, FPS, lambda done: None, exact=exact)[0])


def exactly(film: Path, folder: Path) -> int:
    return ours(film, folder, exact=True)


def guarded(film: Path, folder: Path) -> int:
    """The same in the process of its own that the app starts: Python's start and the imports as well."""
    from pipeline.media import guard, video
    from pipeline.settings import Limits

    told = {"limits": Limits(), "progress": lambda done: None}
    return len(guard.run(video.read_frames, film, folder, FPS, **told)[0])


def keyframes(film: Path, folder: Path) -> int:
    """Decoded, and no more."""
    import av

    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        packets = [packet for packet in container.demux(stream) if packet.is_keyframe]
        return sum(len(stream.codec_context.decode(packet)) for packet in [*packets, None])


def packets(film: Path, folder: Path) -> int:
    """Read from the file, and no more."""
    import av

    with av.open(str(film)) as container:
        return sum(1 for _ in container.demux())


WAYS = {
    "moviepy to PNG": plain,
    "read_frames": ours,
    "with exact times": exactly,
    "in a process of its own": guarded,
    "floor: keyframes alone": keyframes,
    "floor: packets alone": packets,
}


def cost(way: Callable[[Path, Path], int], film: Path) -> tuple[float, int]:
    """(CPU s, pictures)."""
    with tempfile.TemporaryDirectory() as folder:
        before = _used()
        made = way(film, Path(folder))
        return _used() - before, made


def _used() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def warm_up(film: Path) -> None:
    """Imports are no part of reading; what a process of its own takes for them counts there."""
    import moviepy  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        ours(film, Path(folder))


def compare(film: Path, rounds: int) -> None:
    taken: dict[str, list[float]] = {}
    made = {}
    for _ in range(rounds):
        for name, way in WAYS.items():
            seconds, made[name] = cost(way, film)
            taken.setdefault(name, []).append(seconds)
    base = median(taken["moviepy to PNG"])
    print(f"\n{film.stem:28}{'CPU s':>9}{'pictures':>10}{'times less':>12}")
    for name, seconds in taken.items():
        print(f"{name:28}{median(seconds):9.2f}{made[name]:10}{base / median(seconds):12.1f}", flush=True)


# -- memory


def peak(film: Path) -> int:
    """bytes at most, of the process that reads the pictures."""
    code = (
        "import resource, sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]; from pathlib import Path; import frames\n"
        "frames.cost(frames.guarded, Path(sys.argv[3]))\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    here = [str(ROOT), str(Path(__file__).parent), str(film)]
    done = subprocess.run([sys.executable, "-c", code, *here], check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024


def string_together(film: Path, seconds: float, folder: Path, container: str) -> Path:
    long = folder / f"{film.stem}-{seconds:.0f}.{container}"
    if not long.exists():
        ffmpeg("-stream_loop", -1, "-i", film, "-map", "0:v", "-t", seconds, "-c", "copy", long)
    return long


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("folder", type=Path, help="where the films are made, and found again")
    told.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="where media/ with the real films is")
    told.add_argument("--only", default=",".join(FILMS), help="some of " + ",".join(FILMS))
    told.add_argument("--rounds", type=int, default=1)
    told.add_argument("--hours", type=float, default=0, help="measure memory with a film of that length")
    options = told.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.hours:
        film = options.shared / "media/video/autoeditor_timecode_speech.mp4"
        times = (600, options.hours * 3600)
        for container in ("mp4", "mkv"):
            least, most = (peak(string_together(film, length, options.folder, container)) for length in times)
            print(
                f"{container}: {least / 2**20:.0f} MiB for 10 minutes, {most / 2**20:.0f} MiB for {options.hours:g} "
                f"hours, {most / least:.2f} times as much",
                flush=True,
            )
        return
    films = [make(name, options.folder, options.shared / "media") for name in options.only.split(",") if name]
    warm_up(films[0])
    for film in films:
        compare(film, options.rounds)


if __name__ == "__main__":
    main()
