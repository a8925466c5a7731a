"""Writes expressions.jsonl: small templates, rendered by Jinja2 with the settings of transformers.

    pip install -r requirements.txt && python make_expressions.py

A line is a template and its text, or the name of the exception that it ends with. `conversation.json` is what they are
rendered with. `python make_expressions.py SOURCES OUT` renders the templates of a JSON list instead.
"""

import itertools
import json
import re
import sys
from datetime import datetime
from pathlib import Path

from transformers.utils import chat_template_utils

here = Path(__file__).parent
MESSAGES = [
    {"role": "system", "content": "Be <b>short</b>."},
    {"role": "user", "content": "  a<b & 'c' \"d\"\n\tÉté ß 数学 😀  ", "n": 7, "f": 0.1, "none": None, "yes": True},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"type": "function", "function": {"name": "z", "arguments": {"y": [1, 2.5, {"b": None}], "x": "1"}}},
            {"type": "function", "function": {"name": "a", "arguments": {}}},
        ],
    },
    {"role": "user", "content": "one two  three\nfour", "n": 3, "f": -2.5, "x": 1e16, "tags": ["b", "a", "B", "a"]},
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Frozen(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 12, 30, 23, 59, 59)


chat_template_utils.datetime = Frozen


def printed(expressions):
    return ["{{ " + expression + " }}" for expression in expressions.strip().splitlines()]


def crossed(forms, values):
    return ["{{ " + form.format(value) + " }}" for form, value in itertools.product(forms, values)]


VALUES = [
    "none", "true", "false", "0", "-7", "12345678901234567890123", "0.0", "-0.0", "1.0", "2.5", "1e16", "1e-5", "123456.789", "''", "'a<b'", "'É'", "\"it's\"",
    "'<b>'|safe", "[]", "[1, 'a', none]", "()", "(1,)", "(1, 'b')", "{}", "{'b': 1, 'a': [2]}", "range(3)", "absent",
    "[1, 2]|map('string')", "{'b': 1}.items()", "{'b': 1}.keys()", "messages[0].role", "loop",
]
TEXTS = ["''", "'a'", "'  ab cd  '", "'Ab cD-eF (gh) i\\'j'", "'x\\ny\\n\\nz\\n'", "'éÀß 数学 😀 ǆ'", "'123'", "'1,234.5'", "'a<b>&'|safe", "'aXbXc'", "'\\t\\x1cq\\u2028r\\r\\ns'"]
FILTERS = ["string", "length", "list", "first", "last", "int", "float", "tojson", "upper", "trim", "abs", "reverse|list", "sort", "unique|list", "join('-')", "default('d')", "default('d', true)", "items|list", "escape", "safe", "sum", "round", "min", "max", "title", "capitalize", "wordcount", "replace('a', 'b')", "indent", "format", "dictsort", "batch(2)|list", "lower", "count", "center(9)", "urlencode", "tojson(indent=2)", "map('string')|join", "select|list", "reject|list", "map(attribute='x')|list", "striptags", "forceescape", "attr('items')", "filesizeformat", "truncate(9)", "e", "d"]
TESTS = ["defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "integer", "float", "boolean", "true", "false", "callable", "escaped", "lower", "upper", "odd", "even", "divisibleby(3)", "in [1, 'a', none]", "eq 1", "sameas none", "ne 0", "gt 1", "lt 'b'", "not none", "filter", "test"]
METHODS = ["upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()", "strip()", "lstrip()", "rstrip()", "strip('a ')", "split()", "split(' ')", "split('X', 1)", "split(none, 1)", "split(maxsplit=1)", "rsplit(none, 1)", "rsplit('X', 1)", "splitlines()", "splitlines(true)", "partition('X')", "rpartition('b')", "replace('a', 'zz')", "replace('', '-')", "replace('X', '<', 1)", "startswith('a')", "startswith(('x', '  '))", "endswith(('z', 'c'))", "startswith('b', 1)", "find('b')", "rfind('b')", "index('b')", "count('a')", "count('')", "isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()", "isidentifier()", "isnumeric()", "isdecimal()", "isascii()", "isprintable()", "center(13, '*')", "center(4)", "ljust(9, '.')", "rjust(9)", "zfill(7)", "expandtabs(4)", "removeprefix('a')", "removesuffix('c')", "join(['x', 'y'])", "format(1)", "format_map({})", "encode", "nothing", "nothing()"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
OPERANDS = ["7", "-7", "2", "0", "2.5", "-0.5", "true", "'ab'", "'%s!'", "'a'|safe", "[1]", "(1, 2)", "none", "absent", "{'a': 1}"]
SLICES = ["[0]", "[-1]", "[9]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[1:9:2]", "[-3:-1]", "[9:]", "[3:1:-1]", "[:none]", "['a']", "[1.5]", "[none]", "[true]", "[0, 1]", "[:0:-1]", "[::0]", ".0"]
SLICED = ["'hello'", "'éß数😀'", "[1, 2, 3, 4]", "(1, 2, 3)", "range(5)", "'<b>'|safe", "{'a': 1}", "absent", "none", "7", "{0: 'z'}", "'a b'.split()"]

TEMPLATES = r"""
{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in {'b': 1, 'a': 2} %}{{ k }}{{ loop.last }}{% endfor %}
{% for k, v in {'b': 1, 'a': 2}|dictsort %}{{ k }}={{ v }};{% endfor %}
{% for k, v in messages[2].tool_calls[0].function.arguments|items %}{{ k }}={{ v|tojson }};{% endfor %}
{% for c in 'aé数' %}{{ c }}{{ loop.index }}{{ loop.length }}{% endfor %}
{% for c in '' %}x{% else %}empty{% endfor %}
{% for c in absent %}x{% else %}empty{% endfor %}
{% for c in none %}x{% endfor %}
{% for c in 5 %}x{% endfor %}
{% for c in '<a>'|safe %}{{ c + '<' }}{% endfor %}
{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for i in [1, 2] %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}
{% for i in [1, 2, 3, 4] if i is odd %}{{ i }}{{ loop.index }}{{ loop.last }}{{ loop.length }}{% endfor %}
{% for i in [1, 2, 3] if i > 5 %}x{% else %}none{% endfor %}
{% set ns = namespace(found=false) %}{% for i in [1, 2, 3] if not ns.found %}{{ i }}{% set ns.found = i == 2 %}{% endfor %}
{% set ns = namespace(found=false) %}{% for i in [1, 2, 3] if not ns.found %}{{ i }}{{ loop.last }}{% set ns.found = i == 2 %}{% endfor %}
{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }};{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a in [1, 2, 3, 4] %}{% if a == 2 %}{% continue %}{% endif %}{% if a == 4 %}{% break %}{% endif %}{{ a }}{% endfor %}
{% for a in [1, 2] %}{% for b in [3, 4] %}{{ loop.index }}{% if b == 3 %}{% break %}{% endif %}{% endfor %}{{ loop.index }}{% endfor %}
{% for a in [1, [2, [3]]] recursive %}{% if a is iterable %}({{ loop(a) }}){% else %}{{ a }}@{{ loop.depth }}{% endif %}{% endfor %}
{% for a in [1, 2] %}{{ loop(a) }}{% endfor %}
{% set x = 0 %}{% for i in range(3) %}{{ x }}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}
{% for i in range(2) %}{% set y = i %}{% endfor %}{{ y is defined }}
{% if true %}{% set y = 1 %}{% endif %}{{ y }}
{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}
{% set ns = namespace(a=1) %}{% set ns.b = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}
{% set d = {} %}{% set d.a = 1 %}
{% set ns = namespace() %}{% set ns._a = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}
{% set a, b = [3, 4] %}{{ a }}{{ b }}
{% set a = 1, 2 %}{{ a }}
{% set x %}a<b{% endset %}{{ x }}{{ x is string }}{{ x is escaped }}
{% set x | upper | replace('A', 'z') %}abc{% endset %}{{ x }}
{% set x %}  {{ 1 }}  {% endset %}[{{ x }}]
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}
{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}
{% filter upper %}abc{{ 'd' }}{% endfilter %}
{% filter replace('a', 'b')|upper %}aac{% endfilter %}
{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=4, a=5) }}{{ m() }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}
{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, x=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m() %}{{ caller() }}!{% endmacro %}{% call m() %}body{% endcall %}
{% macro m() %}{{ caller(1, b=2) }}!{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro m(x) %}{{ caller() }}{{ x }}{% endmacro %}{% for i in [1, 2] %}{% call m(i) %}c{{ i }}{% endcall %}{% endfor %}
{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(4) }}
{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}
{% macro m() %}{{ later }}{% endmacro %}{% set later = 5 %}{{ m() }}
{% macro m() %}{% set z = 1 %}{{ z }}{% endmacro %}{{ m() }}{{ z is defined }}
{% macro m() %}  a  {% endmacro %}[{{ m() }}][{{ m()|trim }}]
{% macro m() %}<{% endmacro %}{{ m() + '<' }}{{ m() is escaped }}{{ m() is string }}
{% macro m(a) %}{% endmacro %}{{ m.name }}{{ m.nothing is defined }}
{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}
{{ m() }}{% macro m() %}x{% endmacro %}
{% macro m(a, b) %}{{ a }}-{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}{{ m(1, *[2]) }}
{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}o{% endmacro %}{{ outer() }}{{ inner is defined }}
{% generation %}a{% set q = 1 %}{% endgeneration %}{{ q is defined }}
{% for m in messages %}{% generation %}{{ loop.index }}{{ m.role }}{% endgeneration %}{% endfor %}
{% autoescape true %}{{ '<' }}{{ '<'|safe }}{{ '<' ~ '>' }}{% endautoescape %}{{ '<' }}
{% block x %}b{{ messages|length }}{% endblock %}
{% block x %}a{% endblock x %}
{% raw %}{{ x }}{% y %}{% endraw %}
a{%- raw -%}  {{ x }}  {%- endraw -%}  b
{# comment #}a{#- c -#} b {#+ c +#} d
a  {%- if true -%}  b  {%- endif -%}  c
a  {{- 1 -}}  b
a {{- ' x ' -}} b
{%- if true %} a {%- endif %} b
{% if false %}a{% elif true %}b{% else %}c{% endif %}
{% if 0 %}a{% elif '' %}b{% else %}c{% endif %}
{% if [] or {} %}a{% endif %}b
{% if messages[0].role == 'system' and messages[0]['content'] != '' %}s{% endif %}
{% if (messages[0].role == 'user') != (0 % 2 == 0) %}x{% endif %}y
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}
{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b{{ j() }}c
{% set g = [1, 2]|map('string') %}{{ g|join }}{{ g|join }}{{ g|list }}
{% set g = [1, 2, 3]|select('odd') %}{{ g|first }}{{ g|first }}{{ g|first is defined }}
{% set g = [1, 2]|reverse %}{{ g|length }}
{% set x = [1, 2] %}{% set y = x %}{% set x = x + [3] %}{{ x }}{{ y }}
{% set loop_messages = messages[1:] %}{{ loop_messages|length }}{{ loop_messages[0].role }}
{% set system = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}[{{ system }}]
{% set content = '<think>a</think>b' %}{{ content.split('</think>')[-1].lstrip('\n') }}{{ content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}
{% set tools = [{'type': 'function', 'function': {'name': 'f', 'parameters': {'type': 'object', 'properties': {'z': {'type': 'string'}, 'a': {'type': 'integer'}}, 'required': ['z']}}}] %}{% for tool in tools %}{{ tool|tojson }}{{ '\n' ~ tool.function|tojson(indent=4) }}{% endfor %}
{% set p = {'type': 'object', 'properties': {'b': {'type': ['string', 'null']}}} %}{% for name, spec in p.properties.items() %}{{ name }}: {{ spec.type if spec.type is string else spec.type|join(' | ') }}{% endfor %}
{% set date_string = strftime_now('%d %B %Y') if strftime_now is defined else 'x' %}{{ date_string }}
{%- for message in messages|list -%}{{ message.role ~ ':' ~ (message.content|trim)[:3] ~ ';' }}{%- endfor -%}
{% for m in messages|selectattr('role', 'ne', 'system') %}{{ loop.index }}{{ m.role }}{{ loop.last }}{% endfor %}
{% for m in messages|rejectattr('role', 'eq', 'user')|list %}{{ loop.revindex }}{{ m.role }}{% endfor %}
{% for role, group in messages|groupby('role') %}{{ role }}={{ group|length }};{% endfor %}
{% for row in [1, 2, 3, 4, 5]|batch(2, 0) %}{{ row }}{% endfor %}
{% for m in messages[::-1] %}{{ loop.index0 }}{{ m.role[0] }}{% endfor %}
{% set ns = namespace(last=-1) %}{% for m in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{% if m.role == 'user' and ns.last < 0 %}{% set ns.last = index %}{% endif %}{% endfor %}{{ ns.last }}
{% print 1 %}
{% include 'x' %}
{% if false %}{% include 'x' %}{% endif %}ok
{% set x = 1 %}{% set x = x + 1 if x == 1 else 0 %}{{ x }}
{% set true = 1 %}
{% unknown %}
{% for i in [1] %}
{% endfor %}
{% if %}
{{ 'a }}
{{ "}}" }}{{ '%}' }}{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a': {}}}}
{{ 1 }}{{2}}{{-3}}{{ -4 }}{{- 5 -}}
{%if true%}a{%endif%}{%-if true-%} b {%-endif-%}
{% set x = "a'b" ~ 'c"d' %}{{ x }}
{{ '{{' }}{{ '{%' }}{{ '#}' }}
{{ [1, 2, 3][1:] }}{{ 'abc'[:2] }}{{ messages[1:][0].role }}{{ messages[:-1]|length }}{{ messages[-1].role }}
"""


def sources():
    yield from printed((here / "expressions.txt").read_text())
    yield from TEMPLATES.strip().splitlines()
    yield from BLOCKS
    yield from crossed(["{}", "[{}]"], VALUES)
    yield from ("{{ (" + value + ")|" + name + " }}" for value, name in itertools.product(VALUES, FILTERS))
    yield from ("{{ (" + value + ") is " + name + " }}" for value, name in itertools.product(VALUES, TESTS))
    yield from ("{{ (" + text + ")." + method + " }}" for text, method in itertools.product(TEXTS, METHODS))
    yield from ("{{ (" + a + ") " + operator + " (" + b + ") }}" for a, operator, b in itertools.product(OPERANDS, OPERATORS, OPERANDS))
    yield from ("{{ (" + value + ")" + slice_ + " }}" for value, slice_ in itertools.product(SLICED, SLICES))


BLOCKS = [
    "a\n  {% if true %}\n    b\n  {% endif %}\nc\n",
    "a\n  {%+ if true %}\n    b\n  {%+ endif +%}\nc\n\n",
    "{% if true %}\n\na\n{% endif %}\n\nb\n",
    "   {{ 1 }}\n  x\n",
    "{% if true -%}\n   a\n{%- endif %}\n\n",
    "{% raw %}\nx\n  {% endraw %}\ny",
    "{#\n comment\n#}\na {# b #}\nc\n  {#- d #}\ne",
    "a\r\n  {% if true %}\r\nb\r{% endif %}c",
    "{%- for m in messages %}\n    {%- if m.role == 'user' %}\n        {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}\n    {%- endif %}\n{%- endfor %}\n",
    "{% for m in messages %}\n{{ m.role }}\n{% endfor %}\nend",
    "{% filter indent(2, true) %}\na\nb\n{% endfilter %}",
    "{% set x %}\n a\n{% endset %}[{{ x }}]",
    "{{ 1 }}\n{{ 2 }}\n\n",
    "{{ 1 -}}\n\n {{ 2 }}\t\n{%- if true %}\n\t x{% endif %}",
    "x {% if true %} y {% endif %} z",
    "{{ 'a' }}  {% if true %}\nb{% endif %}",
    "",
    "\n",
    "\n\n",
    "  ",
]


def render(source):
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            conversations=[MESSAGES], chat_template=source, add_generation_prompt=True, **TOKENS
        )
        texts[0].encode()
        return {"text": texts[0]}
    except Exception as error:
        return {"fails": type(error).__name__}


def main(given=None, out=here / "expressions.jsonl"):
    lines = []
    for source in dict.fromkeys(json.loads(Path(given).read_text()) if given else sources()):
        found = render(source)
        # An address in memory is nobody's contract, and complex numbers aren't ours.
        if "|map('string'))|wordcount" in source:
            continue
        if not re.search(r" at 0x|sync_do|\d\.\d+e-\d+[+-].*j\)", found.get("text", ""), re.IGNORECASE):
            lines.append(json.dumps({"source": source, **found}, ensure_ascii=False))
    Path(out).write_text("\n".join(lines) + "\n")
    if not given:
        (here / "conversation.json").write_text(json.dumps(MESSAGES, ensure_ascii=False, indent=1) + "\n")


main(*sys.argv[1:])
