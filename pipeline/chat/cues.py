"""The words by which a question says what it asks for. Pure; English; intent.py puts these rules to use.

A question reaches them without its manners and its question mark, with ‹ › around what names the whole video
("what is ‹this talk› about"). They do not know what follows from a kind.
"""

import re
from functools import cached_property

# -- what the rules are made of

VIDEO = "‹[^›]+›"
_WHO = (
    r"(?:he|she|they|someone|(?:the|this|that|a) (?:\w+ )?(?:speaker|presenter|lecturer|teacher|instructor|professor"
    r"|narrator|host|guest|chef|cook|player|driver|referee|singer|actor|doctor|character|man|woman|men|women|boy|girl"
    r"|guy|group|team|lady|person|people|child|children|baby|dog|cat|bird|robot)s?)"
)
_ANY = rf"(?:{_WHO}|i|we|you|it|{VIDEO})"
_BE = r"(?:is|are|was|were)"
_DO = r"(?:do|does|did)"
_SAY = (  # what a video does with a subject, in any form
    r"(?:(?:mention|talk|discuss|explain|show|appear|refer|repeat|occur|describ|display|cover|present|demonstrat"
    r"|address|hear|see|speak|say|com|bring|nam)(?:e|e?s|e?d|n|ing)?|touch(?:es|ed)? on|said|saw|spoken?|heard|came"
    r"|brought|visible)(?: (?:about|of|to|up))*"
)
_ASIDE = r"(?:by|in|on|at|after|before|during|for|as|with) .+"
_OBJECT = rf"(?: {_ASIDE}| (?P<about>.+))?"
_PICTURE = r"(?:slide|picture|image|photo|screen|frame|shot|scene|diagram|chart|graph|plot|drawing|animation|map)"
_PART = r"(?:part|point|scene|section|segment|moment|minute|place|slide|frame|shot|clip|chapter|bit)"
_TOPIC = r"(?:slide|topic|subject|scene|part|section|chapter|step|thing|song|speaker|picture|question)"
_WHEN = rf"(?:when|where|how (?:early|late|soon)|(?:at|in|on|during) (?:what|which) (?:time|timestamp|{_PART}))"
_NTH_TIME = r"(?:times?|occurrences?|mentions?|appearances?|occasions?|timestamps?|instances?|references?|moments?)"
_LIST = r"(?:(?:list|find|show|collect|locate|mark|name|play|search for|(?:what|where|when) are) )?"
_EACH = r"(?:every(?: single)?|each|all(?: of)?(?: the| those)?)"
_HERE = r"(?:right )?(?:now|here|at the moment|currently|at this (?:very )?(?:moment|point|second))"
_ON_SCREEN = r"on (?:the |my |this )?screen"


class Cue:
    """A pattern in capital or small letters, compiled when it is first asked: all of them take a tenth of a second."""

    def __init__(self, rule: str) -> None:
        self._rule = rule

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self._rule, re.IGNORECASE)

    def search(self, text: str) -> re.Match[str] | None:
        return self.pattern.search(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        return self.pattern.fullmatch(text)

    def sub(self, by: str, text: str, count: int = 0) -> str:
        return self.pattern.sub(by, text, count=count)


def _any(*rules: str) -> Cue:
    return Cue("|".join(rules))


# -- kinds with a subject; a rule is the whole question but "in the video", and names in it what to search for: `about`,
#    or else `who` ("how often does the dog appear?")


def _order(word: str) -> list[str]:
    """What does he do right AFTER he opens the box?"""
    side = rf"(?:(?:right|just|directly|immediately|straight|shortly|soon) )*{word} (?!and\b|or\b)"
    event = (
        rf"(?:what|who|(?:what|which) {_TOPIC})(?: else)? (?:(?:happen|occur|come|follow|go|appear|enter|speak|talk)"
        rf"(?:s|ed)?|came|went|spoke|{_BE}(?: being)?(?: {_SAY}| done| {_ON_SCREEN})?|{_DO} (?:we|you|i) (?:see|hear)"
        rf"|{_DO} {_WHO} \w+(?: (?:about|us|up|on|to))*|{_DO} [^,]{{1,40}} {_SAY}|{_BE} {_WHO} \w+ing(?: about| at)?)"
        r"(?: next| in| on| us)?"
    )
    part = (
        rf"(?:what is )?the (?:very )?(?:next )?(?:(?:{_PART}|{_TOPIC})(?: (?:that|which) (?:is|comes))?"
        rf"|thing (?:that )?{_WHO} \w+)"
    )
    return [rf"(?:{event}|{part}) {side}(?P<about>.+)", rf"{side}(?P<about>.+?),? {event}"]


def _end(nth: str, turns: str, place: str) -> list[str]:
    """When does she FIRST mention dropout? How does the film BEGIN?"""
    ask = rf"{_WHEN}(?: (?:{_BE}|{_DO}|has|have|can|could))?"
    return [
        rf"{ask} (?P<who>.+?) {nth} {_SAY}{_OBJECT}",
        rf"{ask} (?P<who>.+?) {_SAY}(?: {_ASIDE}?| (?P<about>.+?))??(?: for)?(?: the)? {nth}(?: time)?",
        rf"{_WHEN} (?:do|does) {_WHO} {nth} (?P<about>.+)",
        rf"{_WHEN} (?:is|are) (?P<about>.+?) {nth} (?:introduced|defined|used|played)",
        rf"{_WHEN} {_DO} {_ANY} {turns}(?: to)? {_SAY} (?P<about>.+)",
        rf"who (?:{_BE} )?(?:the )?{nth} (?:to |one to |person to )?{_SAY} (?P<about>.+)",
        rf"(?:(?:find|show|{_WHEN} {_BE}|what {_BE}|what happens|what {_DO} {_ANY} {_SAY}) )?(?:the )?(?:very )?{nth}"
        rf" {_NTH_TIME}(?: (?:that|when|where|of|to))? (?P<about>.+)",
        rf"(?:what {_BE} )?the (?:very )?{nth} thing (?:that )?{_ANY} {_SAY}(?<=about) (?P<about>.+)",
        rf"{_DO} {_ANY} (?:still )?{_SAY} (?P<about>.+?)(?: again)? {place}",
        rf"{place},? {_DO} {_ANY} (?:still )?{_SAY} (?P<about>.+)",
        # the beginning and the end themselves: nothing to search for
        rf"how {_DO} (?:{VIDEO}|(?P<it>it)|the story) {turns}",
        rf"what (?:happens|happened|{_BE} \w+|{_DO} {_ANY} \w+(?: about)?) {place}",
        rf"(?:what (?:{_BE}|{_DO}) (?:shown )?(?:on |in )?)?(?:the|his|her|their) (?:very )?{nth} (?:{_PICTURE}|words?"
        rf"|sentence|minutes?|remarks|thing)(?: (?:that )?{_ANY} \w+)?(?: about| show| say| like)?",
    ]


RULES = {
    kind: [Cue(rule) for rule in rules]
    for kind, rules in {
        "after": [*_order("after"), r"what (?:\w+ )?follow(?:s|ed) (?!from|that|if|when|on\b)(?P<about>.+)"],
        "before": [*_order("before"), r"what (?:\w+ )?(?:preced(?:es|ed)|leads up to) (?P<about>.+)"],
        "first": _end("(?:first|earliest)", "(?:starts?|begins?|opens?)", "(?:at|in|near) the (?:beginning|start)"),
        "last": _end(
            "(?:last|final|closing)", "(?:stops?|ends?|finish|close)", "(?:at|in|near|towards) the (?:very )?end"
        ),
        "count": [
            rf"(?:count )?how (?:many times|often|frequently)(?: {_DO}| {_BE})? (?P<who>.+?)"
            rf" (?:{_SAY}|used|uses?(?= the (?:word|phrase))){_OBJECT}",
            rf"how many times {_DO} {_WHO} (?P<about>.+)",
            rf"(?:how many(?! times)|count(?: the| all| every)?|(?:what is )?the number of|number of) {_NTH_TIME}"
            rf" (?:of|to|that|{_ANY} {_SAY}) (?P<about>.+?)(?: are there)?",
            rf"(?:in )?how many {_PART}s (?:{_SAY} (?P<about>.+)|{_DO} (?P<who>.+?) {_SAY})",
            r"(?P<about>how many times|how often)",
        ],
        "every": [
            rf"{_LIST}(?:(?:at|in|on|for) )?{_EACH} (?:{_NTH_TIME}(?: (?:that|when|where|of|to|(?:in|at) which))?"
            rf"|{_PART}s? (?:that|when|where|with|about|(?:in|at|on) which|{_SAY})) (?!i\b|my\b|you\b)(?P<about>.+)",
            rf"{_LIST}(?:the )?(?:occurrences|mentions|appearances|timestamps) (?:of|where|when) (?P<about>.+)",
            rf"{_LIST}(?:everywhere|whenever)(?: that)? (?!i\b|my\b|you\b)(?P<about>.+)",
            rf"{_LIST}(?:everything|all the things) (?:that )?{_ANY} {_SAY}(?<=about) (?P<about>.+)",
            rf"(?:at|in|on|during) (?:what|which) (?:times|{_PART}s) (?:{_BE}|{_DO}) (?P<who>.+?) {_SAY}{_OBJECT}",
            rf"(?:what|which) {_PART}s (?:mention|show|talk|discuss|cover|deal|are)(?: about| with)? (?P<about>.+)",
        ],
    }.items()
}

# -- the whole video: one of these cues, and nothing else that could be looked for

_TELL = (
    r"(?:say|talk about|explain|discuss|cover|show|teach|present|argue|demonstrate|go over|tell|do|learn|see|take away"
    r"|go through|describe)"
)
_TOLD = r"(?:said|talked about|explained|discussed|covered|shown|taught|presented|demonstrated|done|described)"
WHOLE = _any(
    r"\b(?:summar\w+|sum (?:\w+ )?up|overview|outline|recap|gist|synopsis|tl;?dr|take-?aways?|highlights|chapters"
    r"|table of contents|subjects|topics|themes|agenda|plot|storyline|general discussion|steps)\b",
    r"\b(?:main|key|most important|major|central|core|big|three|five) (?:\w+ )?(?:points?|ideas?|messages?|arguments?"
    r"|lessons?|conclusions?|insights|findings|parts|things)\b",
    rf"\b(?:about|explain|describe|review|through|over) {VIDEO}|\beverything {_TOLD}\b|^what {_BE} {VIDEO}$",
    rf"^what (?:{_BE} )?(?:{VIDEO}|this|it|that)(?: {_BE})?(?: all| really| mainly| mostly)* about\b",
    rf"^what (?:kind|sort|type) of (?:{VIDEO}|(?:video|film|movie|talk) {_BE} (?:this|it))$",
    rf"^what (?:happens?|happened|{_BE}(?: being)? (?:{_TOLD}|happening|going on)|(?:{_DO}|can|will|should|would)"
    rf" {_ANY} {_TELL}) (?:in|from|throughout) {VIDEO}$|^how is {VIDEO} (?:structured|organi[sz]ed)$",
    rf"^what (?:{_DO}|will|{_BE}) {VIDEO} (?:trying to )?(?:{_TELL}|deal with)(?: about| us| me)*$",
    r"^(?:what \w+ )?the (?:subject|topic|theme|purpose|goal|aim|message|point|idea|contents?|story|structure)"
    rf" of {VIDEO}$|^what (?:happens|{_BE} (?:covered|discussed))$",
    rf"^what (?:{_DO}|can|will) {_ANY} (?:talk about|cover|discuss|teach|learn)$",
)
BESIDES = frozenset(  # what such a question may say as well
    re.findall(
        r"\S+",
        """main key important different whole entire full short brief briefly quick quickly concise detailed high-level
        break split divide bullet bullets sentence sentences paragraph paragraphs line lines simple terms plain english
        nutshell list write provide prepare make makes create walk run learn learned teach cover covers covered
        presented taught raised made taken takes used uses followed involved demonstrated described order timestamps
        beginner two three four five six ten presenter""",
    )
)
PARTLY = _any(  # a part is not the whole, nor is what has a subject
    rf"\b(?:first|second|third|last|next|previous|final|this|that|each) (?:\w+ )?{_PART}\b|\bhalf\b",
    r"\b(?:in|on|after|before|during) the (?:summary|overview|outline|agenda|recap)\b",
    r"\b(?:why|when|where|who|how(?! is ‹))\b|\b(?:steps|points|recap|summary|overview) (?:to|for|about|on)\b",
    r"\b(?:say|says|said|about|of|to|for|on) (?:it|that|them|those|him|her)\b(?! all| about)",
)
POINTS = _any(  # at an answer, where there was one
    rf"\b(?:{_BE}|summari[sz]e|sum|recap|explain|outline) (?:it|that)\b",
    rf"^what (?:{_BE}|{_DO}) the \w+$|^what happens$",
)

# -- now

_KIND = r"(?:what|which)(?: (?:kind|sort|type|brand) of)?"
NOW = _any(
    rf"^what (?:{_DO}|has|have) {_ANY} just\b|^what (?:was|has|{_ANY})(?: that)? just\b|^what just \w+ed|\bjust now$",
    rf"^(?:what|who) {_BE} (?:(?:this|that|it|shown|displayed|written|visible|happening|the (?:text|person)) )?"
    rf"{_ON_SCREEN}(?: {_HERE})?$",
    rf"^(?:what|who) {_BE} (?:this|these)(?: thing| person| man| woman)?(?: called)?$",
    rf"^(?:what|which|why|where|how|who)(?: \w+)? {_BE} (?:{_WHO} )?\w+ing(?: \w+){{0,2}} {_HERE}$",
    r"^what (?:am i|are we|are you) (?:looking at|seeing|watching|hearing)\b|^what just happened",
    rf"^(?:what|who) (?:(?:do|can) )?(?:i|we|you) see {_ON_SCREEN}|^what {_DO} (?:it|the text) say {_ON_SCREEN}",
    r"^(?:what|who|how many|explain|describe|read|translate|summari[sz]e|about)\b.{0,40} (?:this|the current) "
    rf"{_PICTURE}(?: about| show\w*| mean| say| represent| depict| illustrate| tell)?(?: us| me| to me| in .+)?$",
    rf"^{_KIND} (?!video|film|movie|talk)\w+(?: \w+)? {_BE} (?:this|these)$",
)
NOW_IF_EMPTY = _any(rf"^(?:what|who|where {_BE}|explain|describe|read)\b[^‹]* {_HERE}$")  # of content, but for SEEN
SEEN = _any(r"\b(?:\w+ing|written|displayed|visible)\b")
NOW_IF_FIRST = _any(  # where nothing was answered that "that" and "it" could mean
    rf"^(?:what|who|where) {_BE} (?:that|this|those|he|she|it|they)(?: thing| person| man| woman| guy)?(?: called)?$",
    rf"^what {_BE} (?:happening|going on)$|^what was that$|^what (?:do|can) you see$|^who said (?:this|that)$",
    rf"^(?:what|why|where|how|who) {_BE} (?:{_WHO} )?\w+ing(?: about| at| on)?(?: this| that| it)?$",
    rf"^(?:why|how) {_DO} {_WHO} (?:do|say) (?:this|that|it)$|^what {_DO} {_WHO} mean(?: by (?:this|that|it))?$",
    rf"^what {_DO} (?:this|that|it)(?: \w+)?(?: of \w+)? (?:mean|say|do|show|stand for)$",
    r"^(?:explain|describe|repeat|say|translate|read|clarify|about) (?:this|that|it)(?: \w+)?(?: again)?(?: to me)?$",
    rf"^(?:repeat|say again) (?:the last \w+|what {_ANY} said)$|^come again$",
    rf"^{_KIND} \w+ {_BE} (?:that|those)$|^what is the name of this \w+$",
)

# -- what belongs to no kind

MANNERS = _any(
    r"^(?:(?:ok|okay|so|and|but|now|well|hey|hi|hello|please|also|thanks|thank you|great|right|sorry|just|quickly"
    r"|briefly|wait|in short|in general|overall|i missed (?:that|it)|i (?:didn't|haven't) \w+ (?:that|it))\b[,.!:]* "
    r"|(?:can|could|would|will) you |(?:can|could|may) i (?:get|have|see) |do you know |let me know |i wonder "
    r"|i(?: would|'d)? (?:want|need|like|love)(?: you)? (?:to (?:know|see|have|get) )?"
    r"|(?:tell|show|give|get|help) (?:me|us) (?:understand )?|(?:(?:take|bring) me|go|jump|skip) to "
    r"|(?:describe|explain|read)(?: to me)? (?=wh))+"
)
END_MANNERS = _any(r"(?:,? (?:please|exactly|actually|for me|for us)|, (?:thanks|thank you|then))*[\s?.!…]*$")
IN_VIDEO = _any(rf",? ?\b(?:in|of|from|during|throughout) {VIDEO},? ?")
EDGES = _any(  # of a subject: what says only that it is mentioned
    rf"^(?:that|when|where|{_ANY} {_SAY}|the (?:words?|phrase)) | (?:{_BE} )?(?:{_SAY}|used)$|^{_BE} | {_BE}$| again$"
)
NO_SUBJECT = _any(rf"(?:that|this|it|these|those|them|then)(?: {_PART})?|[\d:.]+ ?(?:s|sec\w*|m|min\w*|hours?)?")


# -- whether a question is about what happens, not about what is said or stands there

_SPEECH = (
    r"(?:say|mention|mean|explain|talk|think|call|recommend|suggest|have|need|want|know|speak|refer|describe|discuss"
    r"|tell|show|cite|define|compare|argue|believe|claim|add|list|name|present|propose|report|use|work|cost|look)"
)
_DOER = rf"(?:it|{_WHO})"
MOTION = _any(
    rf"\bhappen(?:s|ed|ing)?\b"
    rf"|\b{_DO} {_DOER} (?!(?:\w+ly |also |ever |actually )*{_SPEECH}\b)[a-z]+"
    rf"|\b{_BE} {_DOER} (?!(?:\w+ly )?{_SPEECH}e?(?:ing|ning)\b)\w+ing\b",
)
