"""A question -> what it asks for: decided by the rules, or by the configured model where the rules see only a matter.

The rules (intent.read) are a full way to an answer, not a lesser one: where the model is not there, slow, or says
something odd, what they say holds, and nothing needs to be said about it. It knows no conversation but whether there
is one, and no search.
"""

import logging
import math
import time

from pipeline.chat import followup, intent
from pipeline.chat.call import Deadlines
from pipeline.chat.intent import Intent
from pipeline.chat.short import complete
from pipeline.errors import AnswerError
from pipeline.settings import Settings

DEADLINES = Deadlines(connect=1.0, read=3.0, first_word=3.0, whole=3.0, pause=math.inf)  # so long a pause: no retry
REST = 300.0  # s, for which an endpoint that failed is not asked this again, so that no question waits in vain

log = logging.getLogger(__name__)

# Until when (time.monotonic) each (endpoint, model) that failed is left in peace.
_resting: dict[tuple[str, str], float] = {}


def decide(settings: Settings, question: str, follows: bool = False, deadlines: Deadlines = DEADLINES) -> Intent:
    """What a question asks for. Raises nothing.

    follows: whether it comes after an answer. The model is asked, in one short call, only where the rules say "local",
    the question is not long, and it does not lean on the answer before it, which the model would not see.
    """
    ruled = intent.read(question, follows)
    who = (settings.vllm_base_url, settings.vllm_model)
    if (
        ruled.kind != "local"
        or not settings.vllm_base_url
        or len(question) > intent.LONGEST
        or (follows and followup.leans(question))
        or time.monotonic() < _resting.get(who, 0.0)
    ):
        return ruled
    try:
        answer = complete(settings, intent.ask(question), intent.ANSWER_TOKENS, deadlines)
    except AnswerError as error:
        _resting[who] = time.monotonic() + REST
        log.debug("What %r asks for is decided by the rules, for %.0f s: %s", question, REST, error)
        return ruled
    decided = intent.parse(answer, question)
    if decided is None:
        log.debug("What %r asks for is decided by the rules: the model said %r", question, answer)
    return decided or ruled
