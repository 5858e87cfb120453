"""Settings: the only reader of the environment. Knows names and defaults, not what they are used for.

A part that is named here is used or it is an error; a part that is left empty takes its default and
says so. `.env` is loaded by the entry points (app.py, python -m pipeline), never here.
"""

import dataclasses
import glob
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import SettingsError

SPEECH_ENGINES = ("whisper", "faster-whisper")
TEXT_EMBEDDINGS = ("local", "mistral", "openai")
APP = Path(__file__).resolve().parents[1]  # the folder of app.py
ANYWHERE = Path("/")
SHORTEST_PASSWORD = 8  # characters
SHORTEST_SECRET = 4  # characters; what is shorter stands in many words, and is no key
BOUNDS = {
    "max_file_gb": (0.001, 1_000_000),
    "max_hours": (0.01, 200),  # the names of pictures hold 277
    "max_megapixels": (0.1, 1000),
    "max_pictures": (1, 1_000_000),
    "decode_memory_gb": (1, 1000),  # less does not start
}


@dataclass(frozen=True)
class Limits:
    """Which files may be opened, and how far they are decoded. Errors name the setting that a number comes from."""

    roots: tuple[Path, ...] = (ANYWHERE,)  # files lie in one of these folders: MEDIA_ROOTS
    size: float = 50e9  # bytes of a file: MAX_FILE_GB
    length: float = 24 * 3600.0  # s: MAX_HOURS
    pixels: float = 64e6  # of one picture: MAX_MEGAPIXELS
    pictures: int = 20_000  # that are kept of one video: MAX_PICTURES
    memory: float = 4 * 2.0**30  # bytes, of the process that decodes: DECODE_MEMORY_GB
    closed: tuple[Path, ...] = ()  # files that are never opened, wherever they lie; * and ? as in PurePath.match


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Each field is the environment variable of the same name in capitals."""

    data_dir: Path = Path("data")  # the library: one folder a video, and the Milvus Lite file
    frames_per_second: float = 0.2  # Hz, pictures taken from a video
    exact_frames: bool = False  # at its very multiples; else any picture in between, where it costs less to decode
    screen_text: bool = True  # read the text on frames
    speech_engine: str = ""  # "whisper" or "faster-whisper"; "" is the one that fits: see media/speech.py
    whisper_model: str = ""  # name, .pt file, or folder as CTranslate2 keeps weights; "" is "base"
    speech_base_url: str = ""  # an OpenAI-compatible speech endpoint; "" hears on this machine
    speech_api_key: str = field(default="", repr=False)
    speech_model: str = ""  # a model name known to that endpoint
    clip_model: str = ""  # Hugging Face name or folder; "" is openai/clip-vit-base-patch32 if it can be had
    reranker: str = ""  # a cross-encoder that orders what was found; "" is none
    text_embedding: str = ""  # "local", "mistral" or "openai"; "" follows from the keys below
    mistral_api_key: str = field(default="", repr=False)
    mistral_base_url: str = ""  # "" is Mistral's own service
    embedding_base_url: str = ""  # an OpenAI-compatible embedding endpoint
    embedding_api_key: str = field(default="", repr=False)
    embedding_model: str = ""  # a model name known to that endpoint
    milvus_uri: str = ""  # "" is Milvus Lite in data_dir; http(s)://host:port is a server
    milvus_token: str = field(default="", repr=False)
    vllm_base_url: str = ""  # an OpenAI-compatible chat endpoint, such as http://localhost:8000/v1
    vllm_api_key: str = field(default="", repr=False)
    vllm_model: str = "mistralai/Pixtral-12B-2409"
    captions: bool = False  # let that model describe each kept frame once, when a video is read
    app_password: str = field(default="", repr=False)  # the page asks for it; "" asks for none
    app_users: str = ""  # e-mail addresses, with commas, of whom Streamlit's own login lets in; "" is all it knows
    media_roots: tuple[Path, ...] = ()  # sources lie in these folders, or in data_dir; () follows from app_password
    max_file_gb: float = 50.0  # GB, of one source
    max_hours: float = 24.0  # h, of one source
    max_megapixels: float = 64.0  # of one picture
    max_pictures: float = 20_000  # kept of one video
    decode_memory_gb: float = 4.0  # GiB, of the process that decodes

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", Path(self.data_dir).expanduser().absolute())
        if not 0 < self.frames_per_second <= 30:
            raise SettingsError(
                f"FRAMES_PER_SECOND is {self.frames_per_second:g}. Give a number above 0 and at most 30, such as 0.2."
            )
        roots = [*(self.media_roots or (_home() if self.app_password else [ANYWHERE])), self.data_dir]
        object.__setattr__(self, "media_roots", tuple(dict.fromkeys(_folder(one) for one in roots)))
        for name, (least, most) in BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise SettingsError(f"{name.upper()} is {getattr(self, name):g}. Give a number of {least} to {most:,}.")
        if self.speech_engine and self.speech_engine not in SPEECH_ENGINES:
            raise SettingsError(
                f"SPEECH_ENGINE is {shown(self.speech_engine)}. "
                f"Give one of: {', '.join(SPEECH_ENGINES)}; or leave it empty."
            )
        if self.text_embedding and self.text_embedding not in TEXT_EMBEDDINGS:
            raise SettingsError(
                f"TEXT_EMBEDDING is {shown(self.text_embedding)}. "
                f"Give one of: {', '.join(TEXT_EMBEDDINGS)}; or leave it empty."
            )
        if not self.text_embedding and self.mistral_api_key and self.embedding_base_url:
            raise SettingsError(
                "Both MISTRAL_API_KEY and EMBEDDING_BASE_URL are set, and only one can embed the text. "
                "Set TEXT_EMBEDDING=mistral or TEXT_EMBEDDING=openai to choose."
            )
        if self.text_embedding_kind == "mistral" and not self.mistral_api_key:
            raise SettingsError("TEXT_EMBEDDING=mistral needs MISTRAL_API_KEY. Set it, or set TEXT_EMBEDDING=local.")
        if self.text_embedding_kind == "openai" and not (self.embedding_base_url and self.embedding_model):
            raise SettingsError(
                "An OpenAI-compatible embedding needs both EMBEDDING_BASE_URL and EMBEDDING_MODEL. "
                "Set both, or set TEXT_EMBEDDING=local."
            )
        if self.captions and not self.vllm_base_url:
            raise SettingsError(
                "CAPTIONS is on and no model is named that could describe the pictures. "
                "Set VLLM_BASE_URL to an OpenAI-compatible endpoint, or set CAPTIONS=off."
            )
        if 0 < len(self.app_password) < SHORTEST_PASSWORD:
            raise SettingsError(
                f"APP_PASSWORD is shorter than {SHORTEST_PASSWORD} characters: it is soon guessed. Give a longer one."
            )
        if self.speech_base_url and (self.speech_engine or self.whisper_model):
            raise SettingsError(
                "SPEECH_BASE_URL is set beside SPEECH_ENGINE or WHISPER_MODEL, and only one of them can hear. Leave "
                "SPEECH_BASE_URL empty to hear on this machine, or the other two to let the endpoint hear."
            )
        if self.speech_base_url and not self.speech_model:
            raise SettingsError("SPEECH_BASE_URL needs SPEECH_MODEL: the name of the model that the endpoint serves.")
        for name in ("speech_base_url", "mistral_base_url", "embedding_base_url", "vllm_base_url", "milvus_uri"):
            value = getattr(self, name)
            if value and not value.startswith(("http://", "https://")):
                raise SettingsError(
                    f"{name.upper()} is no web address. Give one that starts with http:// or https://, "
                    "or leave it empty."
                )
            if "?" in value or "#" in value:
                raise SettingsError(
                    f"{name.upper()} holds more than an address: a question mark or # and what follows it. Give the "
                    "address without it, and the key in the setting beside it."
                )
            if "@" in value.partition("://")[2].partition("/")[0]:  # addresses are shown, in errors and by the doctor
                raise SettingsError(
                    f"{name.upper()} holds a user name or password. Give the address without it, "
                    "and the key in the setting beside it."
                )

    @property
    def secrets(self) -> frozenset[str]:
        """The keys and passwords: what must be shown, logged and kept nowhere."""
        return _parts(getattr(self, name.lower()) for name in SECRETS)

    @property
    def text_embedding_kind(self) -> str:
        """What embeds text: "local", "mistral" or "openai"."""
        if self.text_embedding:
            return self.text_embedding
        if self.embedding_base_url:
            return "openai"
        return "mistral" if self.mistral_api_key else "local"

    @property
    def limits(self) -> Limits:
        """Which files may be opened, and how far they are decoded."""
        return Limits(
            self.media_roots,
            self.max_file_gb * 1e9,
            self.max_hours * 3600,
            self.max_megapixels * 1e6,
            int(self.max_pictures),
            self.decode_memory_gb * 2**30,
            _closed(self.data_dir),
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, login: bool = False) -> "Settings":
        """Read the environment (or the given mapping). Empty values count as not set.

        login: whether others are let in by another way than app_password; media_roots has the same default then.
        Raises SettingsError where a value cannot be used.
        """
        environ = os.environ if environ is None else environ
        given = {}
        for setting in dataclasses.fields(cls):
            text = environ.get(setting.name.upper(), "").strip()
            if text:
                given[setting.name] = _parse(setting, text)
        if login and "media_roots" not in given:
            given["media_roots"] = _home() or (given.get("data_dir", cls.data_dir),)
        return cls(**given)


def secrets(environ: Mapping[str, str] | None = None) -> frozenset[str]:
    """The keys and passwords that are set, also where another setting is wrong."""
    environ = os.environ if environ is None else environ
    return _parts(environ.get(name, "").strip() for name in SECRETS)


def _parts(keys: Iterable[str]) -> frozenset[str]:
    """The keys, and of user:password the password too."""
    every = [part for key in keys for part in (key, key.partition(":")[2])]
    return frozenset(one for one in every if len(one) >= SHORTEST_SECRET)


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that is told its settings otherwise, or needs none."""
    return {name: value for name, value in environ.items() if name not in SECRETS}


def lock(environ: Mapping[str, str] | None = None) -> tuple[str, frozenset[str]]:
    """(APP_PASSWORD, the addresses of APP_USERS in small letters): known also where another setting is wrong."""
    environ = os.environ if environ is None else environ
    users = (one.strip().lower() for one in environ.get("APP_USERS", "").split(","))
    return environ.get("APP_PASSWORD", "").strip(), frozenset(filter(None, users))


def shown(value: str) -> str:
    """A value as an error may repeat it: one that could be a key, put into the wrong setting, is not."""
    could_be_key = len(value) >= 20 and any(map(str.isdigit, value)) and not re.search(r"[\s/\\.]", value)
    return "something that looks like a key" if could_be_key or value.startswith("sk-") else repr(value)


SECRETS = tuple(setting.name.upper() for setting in dataclasses.fields(Settings) if not setting.repr)


def _home() -> tuple[Path, ...]:
    try:
        return (Path.home(),)
    except RuntimeError:  # a user without one
        return ()


def _closed(data_dir: Path) -> tuple[Path, ...]:
    """The app's own passwords and keys, and the chats that it keeps: nobody needs them read as a source."""
    started_in = []
    with suppress(OSError):  # the folder is gone
        started_in = [Path.cwd()]
    folders = dict.fromkeys((APP, *started_in, *_home()))
    files = ("secrets.toml", "config.toml")  # the second may hold the secret of the login's cookies
    library = Path(glob.escape(os.path.realpath(data_dir)))
    chats = ("chat*.json", "chat-pictures*/*", "*/chat*.json", "*/chat-pictures*/*")  # see talks.py
    return (
        APP / ".env",
        *(folder / ".streamlit" / file for folder in folders for file in files),
        *(library / pattern for pattern in chats),
    )


def _folder(path: str | Path) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:  # "~someone"
        raise SettingsError(f"MEDIA_ROOTS names {path}, which is nobody's home. Give the folder itself.") from None


def _parse(setting: dataclasses.Field, text: str) -> str | float | bool | Path | tuple[Path, ...]:
    if setting.type == tuple[Path, ...]:
        if not (folders := tuple(Path(one) for one in text.split(os.pathsep) if one.strip())):
            raise SettingsError(f"{setting.name.upper()} names no folder. Give one or more, or leave it empty.")
        return folders
    if setting.type is bool:
        if text.lower() in ("on", "1", "true", "yes"):
            return True
        if text.lower() in ("off", "0", "false", "no"):
            return False
        raise SettingsError(f"{setting.name.upper()} is {shown(text)}. Give on or off.")
    if setting.type is float:
        try:
            return float(text)
        except ValueError:
            raise SettingsError(
                f"{setting.name.upper()} is {shown(text)}. Give a number, such as {setting.default}."
            ) from None
    return Path(text) if setting.type is Path else text
