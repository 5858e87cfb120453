"""What an endpoint's refusals mean, in plain lines. Pure: status codes and words in, words out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NO_PICTURES = re.compile(
    r"not a multimodal model|at most 0 image|image_url|image input is not|only supports? text"
    r"|(?:not|n't) (?:\w+ )?(?:support|accept|enabled)\w* (?:\w+ )?(?:image|vision|multimodal|picture)"
    r"|(?:image|vision|multimodal)s? (?:\w+ )?(?:is|are) not (?:supported|enabled|allowed)",
    re.IGNORECASE,
)
_TOO_MANY_IMAGES = re.compile(
    r"(?:at most|maximum|max|limit|up to|only|more than|too many)\b[^.]{0,40}\bimages?\b"
    r"|\bimages?\b[^.]{0,60}\b(?:at most|maximum|max|limit|up to|exceed\w*|too many)\b",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|max_model_len|prompt is too long|too many (?:input )?tokens"
    r"|(?:exceed\w*|longer than|over)\b[^.]{0,60}\btokens|too large",
    re.IGNORECASE,
)
_LIMIT = r"(?:at most|maximum|max|limit|available|up to|only|more than|than)\b[^\d.]{0,60}?(\d[\d,]*)"
_LIMIT_OF_TOKENS = re.compile(rf"{_LIMIT}[ )]*(?:tokens|$|[.,;)])|max_model_len\D{{0,5}}(\d+)", re.IGNORECASE)
_SENT = re.compile(
    r"(?:contains|has|requested|resulted in|request)\b[^\d.]{0,20}(\d[\d,]*) (?:input )?tokens", re.IGNORECASE
)
_LIMIT_OF_IMAGES = re.compile(rf"{_LIMIT}\s*images?|images?\b[^.]{{0,60}}?{_LIMIT}", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """Why a request was refused as too much."""

    kind: str  # "length", "images" (too many) or "pictures" (it takes none)
    limit: int | None = None  # tokens or images, when the endpoint says
    sent: int | None = None  # tokens that it counted in the prompt, when it says


def read_refusal(status: int, message: str) -> Refusal | None:
    """What is too much about a request, or None when that is not what the endpoint says."""
    if status == 413:
        return Refusal("length")
    if status not in (400, 415, 422, 500):  # llama.cpp answers 500 to a picture it cannot read
        return None
    if _NO_PICTURES.search(message):
        return Refusal("pictures")
    if status == 500:
        return None
    if _TOO_MANY_IMAGES.search(message):
        return Refusal("images", _number(_LIMIT_OF_IMAGES, message))
    if _TOO_LONG.search(message):
        return Refusal("length", _number(_LIMIT_OF_TOKENS, message), _number(_SENT, message))
    return None


def _number(pattern: re.Pattern[str], message: str) -> int | None:
    match = pattern.search(message)
    return int(next(g for g in match.groups() if g).replace(",", "")) if match else None


def explain(status: int, message: str, where: str, model: str, has_key: bool, models: Sequence[str]) -> str:
    """One line for an HTTP status that ended a request: what happened and what to do next.

    message: the endpoint's own words, "" when it gave none; models: the names it is known to serve.
    """
    says = f" It says: {message}" if message else ""
    refusal = read_refusal(status, message)
    if 300 <= status < 400:
        return f"The chat endpoint {where} redirects to another address. Set VLLM_BASE_URL to the final one.{says}"
    if status == 401:
        key = "refused the key. Check VLLM_API_KEY." if has_key else "wants a key. Set VLLM_API_KEY."
        return f"The chat endpoint {where} {key}{says}"
    if status == 403:
        return f"The chat endpoint {where} does not allow this. Check what VLLM_API_KEY may use.{says}"
    if status == 404 and "model" in message.lower():
        names = f"Set VLLM_MODEL to one of: {', '.join(models)}." if models else "Check VLLM_MODEL."
        return f"The chat endpoint {where} does not know the model {model}. {names}{says}"
    if status in (404, 405):
        return (
            f"There is no chat endpoint at {where}. "
            f"VLLM_BASE_URL usually ends in /v1, such as http://localhost:8000/v1.{says}"
        )
    if status == 429:
        return f"The chat endpoint {where} is busy, or its quota is used up. Wait a little and ask again.{says}"
    if refusal and refusal.kind == "pictures":
        return (
            f"The model {model} cannot see pictures. "
            f"Set VLLM_MODEL to a vision model, such as mistralai/Pixtral-12B-2409.{says}"
        )
    if refusal and refusal.kind == "images":
        return (
            f"The chat endpoint {where} refused the pictures even after a smaller try. "
            f"Raise its limit of images for one prompt (vLLM: --limit-mm-per-prompt).{says}"
        )
    if refusal:
        return (
            f"The question with its evidence is too long for {model}, even after a smaller try. "
            f"Raise the endpoint's context length (vLLM: --max-model-len).{says}"
        )
    if status >= 500 or status == 408:
        return f"The chat endpoint {where} failed (HTTP {status}). Ask again; if it stays so, see its log.{says}"
    return f"The chat endpoint {where} refused the question (HTTP {status}). Check VLLM_MODEL and its log.{says}"
