"""Which language words are in: as their file says it, or else as the words themselves show.

In: tags of a file, or text. Out: an ISO 639-1 code, "" when not known. Knows neither files nor passages.
The only file that imports py3langid.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

TAG = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*")  # "en", "eng", "pt-BR" in lower case
KINDS = ("sdh", "cc", "auto", "default", "forced")  # what players know to follow the language

ENOUGH = 200  # bytes of UTF-8: some 200 Latin letters, or 70 Chinese ones, which tell as much
PLENTY = 20_000  # characters; more do not make it surer
SURE = 0.9  # probability. English talks at 200 letters are at 0.99, fillers alone at 0.75, "la la la" at 0.2

_ISO_639_1 = {
    "ara": "ar", "chi": "zh", "zho": "zh", "cze": "cs", "ces": "cs", "dan": "da", "dut": "nl", "nld": "nl",
    "eng": "en", "fin": "fi", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "ell": "el", "gre": "el",
    "heb": "he", "hin": "hi", "hun": "hu", "ita": "it", "jpn": "ja", "kor": "ko", "nor": "no", "pol": "pl",
    "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "spa": "es", "swe": "sv", "tur": "tr", "ukr": "uk",
}  # fmt: skip


def language_of(tags: list[str]) -> str:
    """The language that the last of these tags names, such as "en" for ["en", "sdh"] or ["eng"]."""
    codes = [re.split("[-_]", tag.lower())[0] for tag in tags if tag not in KINDS]
    code = codes[-1] if codes and TAG.fullmatch(codes[-1]) else ""
    return _ISO_639_1.get(code, code if len(code) == 2 else "")


def tell(text: str) -> str:
    """The language that a text is in, when there is enough of it to be sure. The first call loads the model: 0.5 s.

    Source: https://github.com/adbar/py3langid, whose model (139 languages) is in its package.
    """
    text = text[:PLENTY]
    if len(text.encode(errors="replace")) < ENOUGH:
        return ""
    code, probability = _model().classify(text)
    return code if len(code) == 2 and probability >= SURE else ""  # "zxx": no language


@cache
def _model() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
