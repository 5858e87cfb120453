"""What a decoder may do to the process it runs in: functions for the guarded door, which take a source and limits;
and two for the measuring of costs."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from pipeline.errors import SourceError
from pipeline.media import burst, clips, container, video
from pipeline.types import Frame


def crash(source, limits):
    os.kill(os.getpid(), signal.SIGSEGV)


def be_killed(source, limits):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(source, mark, limits):
    Path(mark).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


def spin(source, limits):
    while True:
        container.on_packet()


def hunger(source, limits):
    return len(bytearray(3 * 2**30))


def flood(source, target, limits):
    with open(target, "wb") as file:
        file.seek(2**40)
        file.write(b"x")


def fail(source, limits):
    raise RuntimeError("no such thing")


def leave_a_process(source, mark, limits):
    Path(mark).write_text(str(subprocess.Popen(["sleep", "600"]).pid))
    os.kill(os.getpid(), signal.SIGSEGV)


def look_around(source, limits):
    """What there is to steal: the environment, also after MoviePy was there, open files, and where it is."""
    import moviepy.config

    files = [os.path.realpath(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")]
    return [moviepy.config.FFMPEG_BINARY, str(dict(os.environ)), os.getcwd(), *files]


def count_to_three():
    yield
    yield 3


def count_environment(name):
    yield
    yield int(os.environ.get(name, 0))


def lie(source, limits):
    return [Frame(0.0, 1.0, "../../.ssh/id_rsa")]


def talk_nonsense(source, limits):
    os.write(3, b"<html>\n")
    for handle in range(3, 10):
        try:
            os.write(handle, b"<html>\n")
        except OSError:
            continue


def pictures_then_crash(source, folder, fps, progress, limits):
    def told(done):
        if done > 0.5:
            os.kill(os.getpid(), signal.SIGSEGV)
        progress(done)

    return video.read_frames(source, folder, fps, told, limits)


def pour(source, limits):
    """Sound without end."""
    yield str(os.getpid())
    number = 0
    while True:
        yield np.full(100_000, number, np.float32)
        number += 1


def pour_then_crash(source, limits):
    for number, piece in enumerate(pour(source, limits)):
        if number == 4:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number:
            yield piece


def sound_then_crash(source, since, limits):
    for number, piece in enumerate(video.read_sound(source, since, limits)):
        if number == 12:
            os.kill(os.getpid(), signal.SIGSEGV)
        yield piece


def most_of_the_sound(source, since, limits):
    for number, piece in enumerate(video.read_sound(source, since, limits)):
        if number == 155:
            os.kill(os.getpid(), signal.SIGSEGV)
        yield piece


def crash_in_sound(source, since, limits):
    os.kill(os.getpid(), signal.SIGSEGV)
    yield


def crash_in_subtitles(source, limits):
    os.kill(os.getpid(), signal.SIGSEGV)


def half_a_clip(source, start, end, target, limits):
    Path(target).write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGSEGV)


def read_all(source, folder, limits):
    """Everything that is done with a file from outside, in one process: what was not read of it."""
    facts = video.probe(source, limits)
    notes = []

    def part(work, *args):
        try:
            notes.extend(work(source, *args, limits=limits) or ())
        except SourceError as error:
            notes.append(str(error))

    if facts.has_video:
        part(lambda *given, limits: video.read_frames(*given, limits)[1], folder, 0.2, lambda done: None)
        part(lambda *given, limits: clips.still(*given, limits) and (), 0.0, folder / "frames" / "still.jpg")
        part(lambda *given, limits: burst.decode(*given, limits) and (), [], folder, 0.0, 2.0, time.monotonic() + 3, 10)
    if facts.has_audio:
        part(lambda *given, limits: [one for one in video.read_sound(*given, limits) if isinstance(one, str)], 0.0)
    if facts.subtitles:
        part(lambda *given, limits: video.read_embedded_subtitles(*given, limits)[2])
    return notes
