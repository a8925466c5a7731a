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

EXPRESSIONS = r"""
{'b': 1, 'a': 2} | tojson
dict(b=1, a=2) | tojson
dict({'z': 1}, b=2, z=3) | tojson
dict([('b', 1), ('a', 2)]) | tojson
dict.fromkeys(['b', 'a', 'b'], 0)
{'b': 1, 'a': 2, 'b': 3}
{1: 'a', 1.0: 'b', true: 'c'}
{1: 'a', none: 'b', true: 'c', 2.5: 'd'} | tojson
{'b': {'z': 1, 'a': 2}, 'a': [{'y': 1, 'x': 2}]} | tojson(indent=2)
{'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true)
{'é': '\u2028<>&\'"\\/\x7f\x01😀'} | tojson
{'é': '\u2028<>&\'"\\/\x7f\x01😀'} | tojson(ensure_ascii=true)
{'é': 1} | tojson(true, 4)
[1, [2, []], {}, {'a': {}}] | tojson(indent=3)
[1, 2] | tojson(indent='\t')
[1, 2] | tojson(indent=0)
[1, 2] | tojson(separators=(',', ':'))
{'a': [1, 2]} | tojson(indent=1, separators=(' ,', ' :'))
(1, 2) | tojson
range(2) | tojson
absent | tojson
[absent] | tojson
{(1, 2): 3} | tojson
{'b': 2, 'a': 1}.items() | list
{'b': 2, 'a': 1}.keys() | list
{'b': 2, 'a': 1}.values() | list
{'b': 2, 'a': 1} | items | list
{'b': 2, 'a': 1} | list
{'b': 2, 'a': 1} | first
{'b': 2, 'a': 1} | last
{'b': 2, 'a': 1} | join(',')
{'b': 2, 'a': 1} | length
{'b': 2, 'A': 3, 'a': 1} | dictsort
{'b': 2, 'A': 3, 'a': 1} | dictsort(true)
{'b': 2, 'A': 3, 'a': 1} | dictsort(by='value')
{'b': 2, 'A': 3, 'a': 1} | dictsort(false, 'value', true)
{'items': 1, 'x': 2}['items']
{'items': 1, 'x': 2}.items is callable
{'x': 2}.get('x') ~ {'x': 2}.get('y') ~ {'x': 2}.get('y', 3)
{'x': none}.get('x', 'd')
{'x': 1}.pop('x')
{'x': 1}.update({'y': 2})
[1].append(2)
[1].append
{'a': 1} == {'a': 1.0}
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
'a' in {'a': 1}
'b' not in {'a': 1}
1 in [1.0]
none in [none]
'ab' in 'cab'
1 in 'a'
1 in 1
[1, 2, 1].index(2)
[1, 2, 1].count(1)
(1, 2, 1).index(3)
[1, 2].copy()
messages[1].content | trim
messages[1].content | trim | tojson
messages[1].content | tojson
messages[1].content.strip().split('\n')
messages[1].content | e
messages[1] | tojson
messages[2] | tojson
messages[2]
messages[2].tool_calls[0].function.arguments | tojson(indent=4)
messages[2].tool_calls | map(attribute='function.name') | join(', ')
messages[2].tool_calls | map(attribute='function') | map(attribute='arguments') | list
messages[2].tool_calls | map(attribute='function.nothing', default='?') | list
messages | map(attribute='role') | list
messages | map(attribute='n', default=0) | sum
messages | selectattr('role', 'equalto', 'user') | list | length
messages | selectattr('role', '==', 'user') | map(attribute='content') | first
messages | selectattr('n') | map(attribute='n') | list
messages | selectattr('n', 'defined') | list | count
messages | rejectattr('role', 'in', ['user', 'system']) | map(attribute='role') | join
messages | selectattr('tool_calls.0.type', 'defined') | list | length
messages | groupby('role') | map(attribute='grouper') | list
messages | groupby('role') | map('first') | join(' ')
messages | groupby('role') | map(attribute='list') | map('length') | list
(messages | groupby('role'))[0].grouper
messages | sort(attribute='role') | map(attribute='role') | join(',')
messages | sort(attribute='role,content') | map(attribute='role') | join(',')
messages | sort(true, attribute='role') | map(attribute='role') | join(',')
messages | map(attribute='content') | map('length') | list
messages | map('tojson') | list | length
messages | unique(attribute='role') | map(attribute='role') | list
messages | map(attribute='tags')
messages[3].tags | sort
messages[3].tags | sort(case_sensitive=true)
messages[3].tags | sort(reverse=true)
messages[3].tags | unique | list
messages[3].tags | unique(true) | list
messages[3].tags | min ~ messages[3].tags | max
messages[3].tags | batch(3, '-') | list
messages[3].tags | slice(3) | list
messages[3].tags | slice(3, '-') | list
messages[3].tags | reverse | join
messages[3].tags | map('upper') | list
messages[3].tags | map('replace', 'a', 'z') | list
messages[3].tags | map('indent', width=2, first=true) | list
messages[3].tags | select('in', ['a', 'B']) | list
messages[3].tags | select('lower') | list
messages[3].tags | reject('equalto', 'a') | list
messages[3].tags | select('sameas', 'a') | list | length
messages[3].x
messages[3].f | round
messages[3].f | int
messages[3].f | abs
[3, 1, 2] | sort
[3, 'a'] | sort
[[2, 'b'], [1, 'z'], [1, 'a']] | sort
[0, 1, '', 'a', none, [], [0]] | select | list
[1, 2, 3, 4] | select('odd') | list
[1, 2, 3, 4] | select('divisibleby', 2) | list
[1, 2, 3, 4] | reject('gt', 2) | list
[1, 2, 3] | sum(start=10)
[{'a': 1}, {'a': 2}] | sum(attribute='a')
[[1], [2]] | sum(start=[])
[1, 2, 3] | map('string') | join('+')
[1, none, true, 2.0, absent] | join('|')
[1, 2, 3] | first ~ [1, 2, 3] | last
[] | first
[] | first is undefined
'' | first | length
[1, 2] + [3]
(1,) + (2,)
[1] + (2,)
[1, 2] * 2
'ab' * 3
3 * 'ab'
'ab' * -1
'a' 'b' "c"
1 if true
1 if false
(1 if false) is undefined
1 if false else 2 if false else 3
not 1 == 2
1 < 2 < 3
1 < 3 < 2
1 == 1.0 == true
3 > 2 >= 2 != 1
'a' < 'b' and 'B' < 'a'
-2 ** 2
2 ** 3 ** 2
2 ** -1
2 ** 0.5
-7 // 2
-7 % 3
7 % -3
-7.5 // 2
-7.5 % 2
7 / 2
6 / 2
1 / 0
1 // 0
1 % 0
1.0 / 0
0.1 + 0.2
1e308 * 10
-1e308 * 10
1e22
1e21 + 1
123456789012345680.0
1e15
100000.0 * 10
0.0001
0.00001
1_000
0x1F + 0b11 + 0o17
1.5e3
1e3
1 ~ 2
1 ~ none ~ true ~ absent ~ [1]
'a' + 1
1 + '1'
absent + 'a'
'a' ~ absent
absent.x
absent['x']
absent()
absent | length
absent | list
absent | join
absent | upper
absent | first
absent == absent
absent == none
absent is none
not absent
absent or 'x'
'a' in absent
absent in [1]
absent < 1
-absent
messages[0].absent
messages[0].absent.x
messages[0].absent is defined
messages[0]['absent'] is defined
messages[9] is defined
messages[9].x
messages['x'] is defined
none.x is defined
none | length
5 | length
none | default('d')
'' | default('d')
'' | default('d', true)
0 | default('d', boolean=true)
absent | default
absent | d('x')
absent.x | default('d')
'say ' | safe + 'a<b'
'a<b' + 'say '|safe
('a<b'|safe) ~ '<'
('<a>'|safe) + '<b>'|safe
('<%s>'|safe) % '<'
('<%s>'|safe) % ('<', )
('<{}>'|safe).format('<')
('<a>'|safe).replace('a', '<')
('<'|safe).join(['<', '>'])
('<a>'|safe).upper() + '<'
('<a>'|safe)[0] + '<'
('<a> b'|safe).split() | first + '<'
['<'|safe, '<'] | join('<')
'<'|safe|string + '<'
'<'|safe|trim + '<'
'<'|safe|replace('x', 'y') + '<'
'<'|e|e
'<'|e|forceescape
'<'|safe|tojson
'<b>x</b> &amp; <!-- c --> y'|striptags
['<'|safe]
('<'|safe) * 2 + '<'
('<'|safe) == '<'
{'<': 1}['<'|safe]
'a\nb\n' | indent
'a\nb\n' | indent(2)
'a\n\nb' | indent(2, true)
'a\n\nb' | indent(2, blank=true)
'a\n\nb' | indent(2, first=true, blank=true)
'a\nb' | indent('> ')
'a\nb' | indent('> ', true)
'a\r\nb\x0bc\u2028d' | indent(1)
'' | indent(3, true)
'\n' | indent(3, true)
'\n' | indent(3, true, true)
'a' | indent(width=0, first=true)
'a' | indent(-1, true)
('<a>\n'|safe) | indent(2) + '<'
none | indent
5 | indent
'%s %d %5.2f|%-5s|%05d|%x|%X|%o|%+d|%%|%r' % ('a', 3, 2.5, 'b', 42, 255, 255, 8, 5, 'q')
'%(a)s-%(b)03d' % {'a': 1, 'b': 2}
'%s' % none
'%s' % [1, 2]
'%s' % {'a': 1}
'%s %s' % 'a'
'%d' % 'a'
'%d' % 2.9
'%d' % true
'%i' % -3
'%s' % ()
'%s' % (1, 2)
'abc' % ()
'abc' % 1
'%c%c' % ('a', 98)
'%e %E %g %G %g' % (12345.678, 0.00012, 1e20, 1e-7, 100000.0)
'%g %g %#g %g' % (1e5, 1e6, 1.0, 0.0001)
'%.3g|%10.3e|%-10.1f|% d' % (3.14159, 1.5, 2.25, 7)
'%*d|%-*d|%.*f' % (5, 1, 5, 2, 2, 3.14159)
'%.2s|%5.1s' % ('abc', 'xyz')
'%#x %#o' % (255, 8)
'%f' % 1
'%5%|'% ()
'%(x)s' % {'y': 1}
'%q' % 1
'%' % 1
'%s and %s' | format('a', 'b')
'%(x)s' | format(x=1)
'%s' | format
'{} {} {}'.format(1, 'a', none)
'{1} {0}'.format(1, 2)
'{a} {b.x} {c[0]} {c[1]}'.format(a=1, b={'x': 2}, c=[3, 4])
'{:>5}|{:<5}|{:^5}|{:*^7}|{:05}'.format('a', 'b', 'c', 'd', 42)
'{:.2f} {:8.3f} {:e} {:g} {:%} {:.1%}'.format(3.14159, 2.5, 12345.678, 1e-7, 0.5, 0.123)
'{:,} {:_} {:,.2f}'.format(1234567, 1234567, 1234567.891)
'{:x} {:X} {:o} {:b} {:#x} {:#b}'.format(255, 255, 8, 5, 255, 5)
'{:+d} {: d} {:d} {:+.1f}'.format(5, 5, -5, 2.5)
'{!r} {!s}'.format('a', 'b')
'{{}} {}'.format(1)
'{:{}}|{:{w}.{p}f}'.format('a', 5, 3.14159, w=8, p=2)
'{}'.format(2.0)
'{:5}|{:<5}|{:=+5}'.format(1, 2, 3)
'{:c}'.format(65)
'{:s}'.format('a')
'{:d}'.format('a')
'{:s}'.format(1)
'{:.3}'.format('abcdef')
'{:.3} {:.3} {:.1}'.format(3.14159, 1e10, 100.0)
'{}'.format(true) ~ '{:d}'.format(true) ~ '{:5}'.format(true)
'{:5}'.format(none)
'{} {}'.format(1)
'{x}'.format(1)
'{'.format(1)
'}'.format(1)
'{0.__class__}'.format(1)
''.__class__
''.__class__ is defined
[].__len__ is defined
messages.__class__.x
'a'.join
5 | string ~ '|' ~ 5.0 | string
'5' | int + 1
'5.7' | int
' 42 ' | int
'0x1A' | int(0, 16)
'ff' | int(base=16)
'1010' | int(0, 2)
'abc' | int
'abc' | int(-1)
'abc' | int('x')
'1_000' | int
'' | int
none | int(3)
3.99 | int
-3.99 | int
true | int
[1] | int
'1e3' | int
'inf' | int
'1.5' | float
'abc' | float
'abc' | float(9)
'1e3' | float
'nan' | float
'inf' | float
'-inf' | float
'1_0.5' | float
none | float
5 | float
2.5 | round
3.5 | round
-2.5 | round
2.675 | round(2)
1234.5678 | round(2)
1234.5678 | round(-2)
1234 | round(-2)
1250 | round(-2)
7 | round
7 | round(2)
2.1 | round(0, 'ceil')
2.9 | round(method='floor')
2.123 | round(2, 'ceil')
7 | round(0, 'ceil')
'a' | round
1e300 | round(2)
1 | filesizeformat
999 | filesizeformat
1000 | filesizeformat
1234567 | filesizeformat
1234567 | filesizeformat(true)
'foo bar baz qux' | truncate(9)
'foo bar baz qux' | truncate(9, true)
'foo bar baz qux' | truncate(11)
'foo bar baz qux' | truncate(9, leeway=0)
'foo bar baz qux' | truncate(9, false, '…', 0)
'a/b c&d=é' | urlencode
{'a b': 'c/d', 'e': 1} | urlencode
'hello-world foo.bar it\'s (x) [y] {z} <w> ß1a' | title
'hello world' | capitalize
'HELLO' | lower
'a b  c_d é 1' | wordcount
'x' | center(5) ~ '|'
'ab' | center(5) ~ '|'
'  x ' | trim ~ '|'
'xxaxx' | trim('x')
'abcabc' | replace('b', 'X', 1)
'abc' | replace('', '-')
123 | replace(2, 'x')
'a,b' | list
'abc' | reverse
'abc' | last
(1, 2) | list
range(3) | list
range(1, 10, 3) | list
range(3, 0, -1) | list
range(5)[1:3] | list
range(5)[-1]
range(5) | length
range(5)
range(0)
range(1, 2, 0)
range(1000000)
range('a')
1 in range(3)
namespace(a=1).a
namespace({'a': 1}, b=2).b
namespace(a=1).b is defined
namespace(a=1)['a']
strftime_now('%d %b %Y %H:%M')
strftime_now('%A %B %j %y %p %I %%')
raise_exception('no')
raise_exception('no ' ~ 1)
bos_token ~ eos_token ~ pad_token
tools is none
tools is defined
documents
add_generation_prompt
true is sameas true
1 is sameas true
'a' is sameas 'a'
[] is sameas []
1 is integer and 1 is number and not 1 is float and not true is integer
'upper' is filter and not 'nothing' is filter and 'odd' is test
'a' is in 'abc'
1 is in([1, 2])
1 is not in [2]
'a' is eq 'a'
3 is divisibleby 3
3 is odd and 2 is even
4 is gt(3) and 4 is greaterthan 3 and 3 is le 3
'A' is upper and 'a' is lower and not '1' is lower
x is nothing
x | nothing
messages is sequence and messages is iterable and not messages is mapping
messages[0] is mapping and messages[0] is sequence and messages[0] is iterable
'a' is sequence and 'a' is iterable and not 'a' is mapping
none is iterable
5 is sequence
([1]|map('string')) is sequence
([1]|map('string')) is iterable
{}.items() is sequence
{}.items is callable
raise_exception is callable
messages[0].content is string
messages[1].yes is boolean and messages[1].yes is true and messages[1].yes == 1
messages[1].none is none
messages[1].n is number
'x' if messages else 'y'
('a', 'b')[0]
[1, 2][true]
{'a': {'b': 'c'}}.a.b
{'a': {'b': 'c'}}['a']['b']
{'a b': 1}['a b']
[[1, 2], [3]][0][1]
'abc'[1]
'abc'[-1]
'abc'[9] is defined
'abc'['x'] is defined
[1, 2, 3]['0'] is defined
{0: 'z'}[0] ~ {0: 'z'}[false]
{'a': 1}[[1]] is defined
(1.0).is_integer()
'%s' % 'é😀'
['é', '\n\t\\', "it's", 'say "x"', 'b\'"', '\x00\x7f\xa0\u200b\ud7ff\ue000😀']
'\x41\u00e9\U0001F600\101\n\q\''
'\N'
'a\
b'
("a" "b")|length
(1, 2, 3)
1, 2
(1)
(1,)
()
[1, 2,]
{'a': 1,}
{**{}}
[x for x in y]
messages|length - 1
messages|length * 2 > 7
-1|abs
-(1|abs)
not true|string
(not true)|string
1|string ~ 2|string
'a' ~ 'b'|upper
1 + 2 ~ 3 + 4
2 * 3 ~ 4
'a' if 1 else 'b' ~ 'c'
1 or 0 and 0
not 0 and 1
1 == 1 and 'y' or 'n'
'a' is string is true
'' or none or 0 or [] or 'end'
1 and 'x' and []
[0][0] or 'z'
{'a': [{'b': 'c'}]}.a[0].b
{} == {}
[] == ()
'1' == 1
1 != '1'
[1, 2] < [1, 3]
(1, 'a') < (1, 'b')
[1] < ['a']
1 < 'a'
none < 1
{} < {}
true + true
true == 1
'a' * true
2 * [0]
'ab'.join('xyz')
','.join(['a', 1])
','.join([])
', '.join(messages|map(attribute='role'))
'a,b,,c'.split(',')
'a b'.split(sep=' ')
'a,b,c'.split(',', maxsplit=1)
'abc'.split('')
'a--b'.rsplit('-', 1)
'x=1=2'.partition('=')[2]
'abc'.find('c', 1) ~ 'abc'.find('a', 1) ~ 'abcabc'.find('a', 1, 3) ~ 'abc'.find('', 5)
'abc'.index('z')
'é数x'.find('x')
'abcabc'.count('b', 2)
'abc'.startswith('') ~ 'abc'.startswith(['a']) 
'abc'.startswith(1)
'abc'.strip('abc') ~ '|'
'xyabcyx'.strip('xy')
'mississippi'.lstrip('mis')
'a'.zfill(3) ~ '-5'.zfill(4) ~ '+5'.zfill(4)
'a\tb'.expandtabs() ~ '|'
'tHe qUICK'.title() ~ 'tHe qUICK'.swapcase() ~ "they're".title()
'ß'.upper() ~ 'İ'.lower()|length ~ 'ǆ'.title()|length
'ΑΣ'.lower()
'²'.isdigit() ~ '½'.isnumeric() ~ '٣'.isdecimal()
'a1_'.isidentifier() ~ '1a'.isidentifier()
'a'.center(4, 'xy')
'a'.nothing is defined
caller is defined
varargs is defined
"""

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
    yield from printed(EXPRESSIONS)
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
