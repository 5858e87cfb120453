"""The settings: read from the environment, kept complete in .env.example and the README, never silently wrong."""

import dataclasses
import re
from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.settings import Settings, secrets, without_secrets

ROOT = Path(__file__).resolve().parents[1]
NAMES = {setting.name.upper() for setting in dataclasses.fields(Settings)}


def test_every_setting_has_one_line_in_env_example_and_no_other_is_there():
    given = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.M)
    assert sorted(given) == sorted(NAMES)


def test_env_example_as_it_stands_is_the_default():
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert Settings.from_env(given) == Settings()


def test_every_setting_is_in_the_table_of_the_readme():
    table = re.findall(r"^\| `(\w+)`", (ROOT / "README.md").read_text(), re.M)
    assert sorted(table) == sorted(NAMES)


def test_empty_values_count_as_not_set():
    assert Settings.from_env({"VLLM_MODEL": "  ", "FRAMES_PER_SECOND": ""}) == Settings()


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, "local"),
        ({"MISTRAL_API_KEY": "k"}, "mistral"),
        ({"EMBEDDING_BASE_URL": "http://localhost/v1", "EMBEDDING_MODEL": "m"}, "openai"),
        ({"MISTRAL_API_KEY": "k", "TEXT_EMBEDDING": "local"}, "local"),
    ],
)
def test_the_text_embedding_follows_from_what_is_set(environ, kind):
    assert Settings.from_env(environ).text_embedding_kind == kind


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"FRAMES_PER_SECOND": "often"}, "FRAMES_PER_SECOND"),
        ({"FRAMES_PER_SECOND": "0"}, "FRAMES_PER_SECOND"),
        ({"FRAMES_PER_SECOND": "nan"}, "FRAMES_PER_SECOND"),
        ({"SCREEN_TEXT": "maybe"}, "SCREEN_TEXT"),
        ({"SPEECH_ENGINE": "vosk"}, "whisper, faster-whisper"),
        ({"TEXT_EMBEDDING": "cohere"}, "local, mistral, openai"),
        ({"TEXT_EMBEDDING": "mistral"}, "MISTRAL_API_KEY"),
        ({"EMBEDDING_BASE_URL": "http://localhost/v1"}, "EMBEDDING_MODEL"),
        ({"MISTRAL_API_KEY": "k", "EMBEDDING_BASE_URL": "http://h/v1", "EMBEDDING_MODEL": "m"}, "TEXT_EMBEDDING"),
        ({"CAPTIONS": "on"}, "VLLM_BASE_URL"),
        ({"VLLM_BASE_URL": "localhost:8000"}, "http://"),
        ({"MILVUS_URI": "./milvus.db"}, "MILVUS_URI"),
    ],
)
def test_a_value_that_cannot_be_used_is_an_error_that_names_the_mend(environ, named):
    with pytest.raises(SettingsError, match=re.escape(named)):
        Settings.from_env(environ)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    for name in ("VLLM_BASE_URL", "MILVUS_URI"):
        for address in ("http://me:canary@host/v1", "me:canary@host"):
            with pytest.raises(SettingsError) as refused:
                Settings.from_env({name: address})
            assert "canary" not in str(refused.value)


def test_keys_are_never_in_the_repr():
    keys = {"MISTRAL_API_KEY": "canary", "MILVUS_TOKEN": "canary", "VLLM_API_KEY": "canary"}
    assert "canary" not in repr(Settings.from_env(keys))


KEY = "AbCdEf0123456789AbCdEf0123456789"


@pytest.mark.parametrize("name", ["FRAMES_PER_SECOND", "SCREEN_TEXT", "TEXT_EMBEDDING", "CAPTIONS", "VLLM_BASE_URL"])
@pytest.mark.parametrize("key", [KEY, f"sk-{KEY}"])
def test_a_key_in_the_wrong_setting_is_not_repeated(name, key):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: key})
    assert KEY not in str(refused.value)
    assert name in str(refused.value)


def test_an_address_with_a_key_behind_it_is_refused_and_not_repeated():
    for name in ("VLLM_BASE_URL", "MISTRAL_BASE_URL", "EMBEDDING_BASE_URL", "MILVUS_URI"):
        for address in (f"http://host/v1?api_key={KEY}", f"http://host/v1#{KEY}"):
            with pytest.raises(SettingsError) as refused:
                Settings.from_env({name: address})
            assert KEY not in str(refused.value)


def test_a_password_that_is_soon_guessed_is_refused_and_not_repeated():
    with pytest.raises(SettingsError, match="APP_PASSWORD") as refused:
        Settings.from_env({"APP_PASSWORD": "canary"})
    assert "canary" not in str(refused.value)


def test_a_process_that_needs_no_key_is_given_none():
    environ = {"MISTRAL_API_KEY": KEY, "APP_PASSWORD": KEY, "MILVUS_TOKEN": f"me:{KEY}", "PATH": "/bin"}
    assert without_secrets(environ) == {"PATH": "/bin"}
    assert secrets(environ) == Settings.from_env({**environ, "TEXT_EMBEDDING": "local"}).secrets == {KEY, f"me:{KEY}"}
