"""The laws of the house: imports run down, heavy libraries live in one file and load late, one error tree."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([ROOT / "app.py", *(ROOT / "pipeline").rglob("*.py")])
ROOMS = ("pipeline.media", "pipeline.search", "pipeline.chat")
BASE = (
    "pipeline.types", "pipeline.times", "pipeline.errors", "pipeline.settings", "pipeline.words", "pipeline.line",
    "pipeline.disk", "pipeline.cores", "pipeline.part_status", "pipeline.child",
)  # fmt: skip
HEAVY = {
    "av": "media/container.py",
    "moviepy": "media/clips.py",
    "whisper": ("media/openai_whisper.py", "media/whisper_formats.py"),
    "faster_whisper": ("media/faster_whisper.py", "media/vad.py"),
    "ctranslate2": ("media/faster_whisper.py", "media/whisper_formats.py"),
    "rapidocr": "media/screen.py",
    "pymilvus": "search/stores.py",
    "transformers": "search/weights.py",
    "charset_normalizer": "media/subtitles.py",
    "openai": None,  # the chat endpoint and the embedding endpoint both speak it
    "torch": None,
    "py3langid": "media/language.py",
}
PAGE = ("app", "pipeline.ui")  # the screen: Streamlit is its language, so it stands at the top of its files
BENCH = ("pipeline.bench",)  # measures all rooms, and the plain ways beside them: those call heavy libraries themselves
TOP = (  # what puts the rooms together
    "pipeline.workflow", "pipeline.readings", "pipeline.waiting", "pipeline.steps", "pipeline.worker", "pipeline.pace",
    "pipeline.estimate", "pipeline.finding", "pipeline.looking", "pipeline.matching", "pipeline.talks",
    "pipeline.playing", "pipeline.doctor", "pipeline.evaluate", "pipeline.questions", "pipeline.metrics",
    "pipeline.tables", "pipeline.logs", "pipeline.__main__",
)  # fmt: skip


def name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(file: Path) -> set[tuple[str, bool]]:
    """(module, whether it is imported at the top of the file). `if TYPE_CHECKING:` does not count."""
    found = set()

    def visit(node: ast.AST, top: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Import):
                found.update((alias.name, top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                found.update((f"{child.module}.{alias.name}", top) for alias in child.names)
            visit(child, top and not isinstance(child, ast.FunctionDef))

    visit(ast.parse(file.read_text()), True)
    return found


def is_in(module: str, packages: tuple[str, ...]) -> bool:
    return f"{module}.".startswith(tuple(f"{package}." for package in packages))


@pytest.mark.parametrize("file", FILES, ids=name)
def test_imports_run_down(file):
    mine = name(file)
    ours = {module for module, _ in imports(file) if is_in(module, ("pipeline",))}
    if room := next((r for r in ROOMS if is_in(mine, (r,))), None):
        assert not [module for module in ours if not is_in(module, (room, *BASE))]
    elif mine in BASE:
        assert not [module for module in ours if not is_in(module, BASE)]
    elif not is_in(mine, (*PAGE, *BENCH)):
        assert mine in (*TOP, "pipeline", *ROOMS), "a new file beside workflow.py"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_the_screen_is_known_to_the_screen_alone(file):
    if not is_in(name(file), PAGE):
        assert not [m for m, _ in imports(file) if is_in(m, ("app", "pipeline.ui", "streamlit"))]


@pytest.mark.parametrize("file", FILES, ids=name)
def test_heavy_libraries_live_in_one_file_and_load_when_called(file):
    for module, top in imports(file):
        package = module.split(".")[0]
        if package not in HEAVY:
            continue
        home = HEAVY[package]
        assert home is None or is_in(name(file), BENCH) or str(file).endswith(home), f"{module} belongs in {home}"
        assert not top, f"{module} is imported before it is needed"


def test_importing_the_library_loads_no_model_code():
    heavy = {"torch", "llama_index", "pymilvus", "av", "whisper", "openai", "transformers", "moviepy", "streamlit"}
    code = f"import sys, pipeline; print(sorted({heavy | {'py3langid'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_error_that_is_raised_is_in_the_tree_and_in_its_drawing():
    from pipeline import errors

    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    assert all(issubclass(c, errors.PipelineError) for c in classes)
    assert all(c.__name__ in errors.__doc__ for c in classes)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_file_says_what_it_is(file):
    assert ast.get_docstring(ast.parse(file.read_text())) or not file.read_text().strip()


def test_what_the_readme_promises_has_the_tests_that_it_names():
    promised = (ROOT / "README.md").read_text().partition("## What it promises")[2].partition("It does not promise")[0]
    named = re.findall(r"`((?:faults/)?test_\w+\.py)(?:::(\w+))?`", promised)
    assert len(named) >= 16
    for file, test in named:
        text = (ROOT / "tests" / file).read_text()
        assert re.search(rf"^ *(?:def|class) {test or 'test_'}", text, re.MULTILINE), f"{file}::{test}"
