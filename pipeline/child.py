"""What a child process gets: the folders that it imports from, its environment, its working directory.

None of it is copied from this process when a child is started. Libraries change all of it while they load, in whichever
thread: cv2 puts its own folder first in sys.path, where its `typing` hides Python's (opencv/opencv#28766), and leaves
LD_LIBRARY_PATH and QT_* changed. A child finds Python's own folders by itself, as this process did, and is told where
this package lies. Its environment and working directory are those of one moment: see remember().
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline.settings import without_secrets

ROOT = Path(__file__).resolve().parents[1]  # the folder that this package lies in
# The signals that are blocked are those of the thread that starts the child: it blocks none. -P: not the working
# directory, which may hold a typing.py too.
CODE = (
    "import signal, sys; signal.pthread_sigmask(signal.SIG_SETMASK, ()); root, *folders = sys.argv[1:]; "
    "sys.path[:0] = [root] * (root not in sys.path); sys.path += folders; "
    "from {} import serve; serve()"
)

_environment: dict[str, str] = {}
_folder = ""


def remember() -> None:
    """Take the environment (without the keys) and the working directory as they are now for every child from now on.

    Done when this is imported, and again when a library is built: the entry points load .env in between.
    """
    global _environment, _folder
    environment = without_secrets(os.environ)
    try:
        folder = os.getcwd()
    except OSError:  # it was deleted
        folder = "/"
    if given := environment.get("PYTHONPATH"):  # relative folders in it are those of here
        folders = [os.path.join(folder, one) for one in given.split(os.pathsep) if one]
        environment["PYTHONPATH"] = os.pathsep.join(folders)
    _environment, _folder = environment, folder


def start(
    module: str,
    work: Callable | None = None,
    env: dict[str, str] | None = None,
    cwd: str | None = None,
    stderr: int | None = None,
    text: bool = False,
) -> subprocess.Popen:
    """Start a process that runs `serve()` of a module of this package; its standard input and output are pipes.

    `work`: a function that it will be asked for by name, which may lie outside this package. `env`, `cwd`: instead of
    what was remembered. It is the first of a process group of its own: to end that ends whatever it started, and Ctrl-C
    reaches this process alone. No session of its own: Linux gives each an equal share of the cores, however nice
    (autogroups, man 7 sched). Raises OSError.
    """
    flags = [*["-E"] * sys.flags.ignore_environment, *["-s"] * sys.flags.no_user_site]
    folders = [ROOT, *([home_of(work)] if work else [])]
    return subprocess.Popen(
        [sys.executable, "-P", *flags, "-c", CODE.format(module), *map(str, folders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment() if env is None else env,
        cwd=cwd or (_folder if os.path.isdir(_folder) else "/"),
        text=text,
        encoding="utf-8" if text else None,
        process_group=0,
    )


def environment() -> dict[str, str]:
    """What was remembered of the environment, without the keys."""
    return dict(_environment)


def home_of(work: Callable) -> Path:
    """The folder that the module of a function was imported from."""
    module = sys.modules[work.__module__]
    file = Path(module.__file__).absolute()
    return file.parents[module.__name__.count(".") + (file.stem == "__init__")]


def end(child: subprocess.Popen) -> None:
    """End the child and all that it started, whether or not it has ended."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in filter(None, (child.stdin, child.stdout, child.stderr)):
        with suppress(BrokenPipeError):
            pipe.close()


remember()
