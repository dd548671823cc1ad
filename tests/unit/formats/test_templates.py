"""Chat templates: the allow-list over the syntax tree (facts/formats.md section 6.3) and what it may not be fooled by."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.evidence import Severity
from modeltrust.formats.templates import check_template
from modeltrust.wiring.rules import load_rules
from tests.support.steps import calls

RULES = load_rules()

BENIGN = {
    "plain": "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}",
    "chatml": "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content | trim ~ '<|im_end|>' }}{% endfor %}",
    "macro": "{% macro show(x, n=2) %}{{ x | tojson(indent=n) }}{% endmacro %}{{ show(tools) }}{{ show(n=4, x=tools) }}",
    "namespace": "{% set ns = namespace(found=false, i=0) %}{% for m in messages %}{% set ns.i = ns.i + 1 %}{% endfor %}{{ ns.i }}",
    "index arithmetic": "{% for m in messages %}{{ messages[loop.index0 + 1].role }}{{ messages[loop.index0 % 2] }}{% endfor %}",
    "slices": "{% set rest = messages[1:] %}{% for m in rest %}{{ m['content'][:10] }}{% endfor %}{{ messages[::-1][0] }}",
    "generation": "{% generation %}{{ messages[0].content }}{% endgeneration %}",
    "loop controls": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{% break %}{% endfor %}",
    "filters": "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') }}",
    "map a filter": "{{ messages | map('trim') | list | length }}",
    "underscored variable": "{% set _args = tool.arguments %}{% for _, v in _args | items %}{{ v }}{% endfor %}",
    "constant format": "{{ 'Today is {}'.format(date) }}{{ '{0:>4}'.format(n) }}",
    "errors": "{% if messages[0].role != 'user' %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}",
    "tests": "{% if x is defined and x is not none and x is string and 'a' in x %}{{ x }}{% endif %}",
    "calls with a body": "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}",
    "filter block": "{% filter upper %}{{ x }}{% endfilter %}",
    "assigned block": "{% set text %}{{ x }}{% endset %}{{ text }}",
    "concatenated text": "{% set text = a ~ b %}{{ text }}",
    "methods": "{{ message.get('content', '').split('</think>')[-1].lstrip('\\n') }}",
}

HOSTILE = {
    "dunder attribute": ("{{ x.__class__ }}", "attribute"),
    "single underscore attribute": ("{{ x._private }}", "attribute"),
    "attr filter": ("{{ x | attr('a') }}", "filter"),
    "constant subscript": ("{{ x['__class__'] }}", "dunder"),
    "hex-escaped subscript": (r"{{ x['\x5f\x5fclass\x5f\x5f'] }}", "dunder"),
    "octal-escaped subscript": (r"{{ x['\137\137class\137\137'] }}", "dunder"),
    "unicode-escaped subscript": (r"{{ x['\u005f\u005fclass'] }}", "dunder"),
    "concatenated subscript": ("{{ x['_' ~ '_class_' ~ '_'] }}", "built-key"),
    "added subscript": ("{{ x['_' + '_class_' + '_'] }}", "built-key"),
    "formatted subscript": ("{{ x['%sclass%s' % (u, u)] }}", "built-key"),
    "multiplied subscript": ("{{ x['_' * 2] }}", "built-key"),
    "replaced subscript": ("{{ x['xxclassxx' | replace('x', u)] }}", "built-key"),
    "replaced by method": ("{{ x['xxclassxx'.replace('x', u)] }}", "built-key"),
    "joined subscript": ("{{ x[['a', 'b'] | join] }}", "built-key"),
    "method-formatted subscript": ("{{ x['{}class{}'.format(u, u)] }}", "built-key"),
    "sliced subscript": ("{{ x[y[1:10]] }}", "built-key"),
    "reversed subscript": ("{{ x[y | reverse] }}", "built-key"),
    "reverse filter": ("{{ y | reverse }}", "filter"),
    "lower-cased subscript": ("{{ x['CLASS' | lower] }}", "built-key"),
    "upper-cased by method": ("{{ x[y.upper()] }}", "built-key"),
    "through set": ("{% set k = 'a' ~ 'b' %}{{ x[k] }}", "built-key"),
    "through a chain of sets": ("{% set a = 'a' ~ 'b' %}{% set c = a %}{% set d = c %}{{ x[d] }}", "built-key"),
    "through a set block": ("{% set k %}a{{ b }}{% endset %}{{ x[k] }}", "built-key"),
    "through a namespace": ("{% set ns = namespace() %}{% set ns.k = '_' ~ '_class' %}{{ x[ns.k] }}", "underscore"),
    "through a loop": ("{% for k in ['_' ~ '_class'] %}{{ x[k] }}{% endfor %}", "underscore"),
    "through a macro": ("{% macro m(k) %}{{ x[k] }}{% endmacro %}{{ m('_' ~ '_class') }}", "underscore"),
    "underscore in a replacement": ("{{ 'xclass' | replace('x', '_') }}", "underscore"),
    "underscore in a join": ("{{ ['', 'class'] | join('_') }}", "underscore"),
    "lipsum": ("{{ lipsum }}", "name"),
    "cycler": ("{{ cycler }}", "name"),
    "joiner": ("{{ joiner }}", "name"),
    "self": ("{{ self }}", "name"),
    "getattr": ("{{ getattr(x, 'y') }}", "name"),
    "include": ("{% include 'x' %}", "statement"),
    "import": ("{% import 'x' as y %}", "statement"),
    "from import": ("{% from 'x' import y %}", "statement"),
    "extends": ("{% extends 'x' %}", "statement"),
    "block": ("{% block b %}x{% endblock %}", "statement"),
    "with": ("{% with a = 1 %}{{ a }}{% endwith %}", "statement"),
    "power": ("{{ 9 ** 9 }}", "statement"),
    "format with attributes": ("{{ '{0.a}'.format(x) }}", "format"),
    "format with subscripts": ("{{ '{0[a]}'.format(x) }}", "format"),
    "format in a specification": ("{{ '{0:{1.a}}'.format(x, y) }}", "format"),
    "format of a variable": ("{{ x.format(y) }}", "format"),
    "format that is broken": ("{{ '{'.format(y) }}", "format"),
    "format of a number": ("{{ (1).format(y) }}", "format"),
    "printf filter": ("{{ '%s' | format(x) }}", "filter"),
    "map an attribute from a variable": ("{{ x | map(attribute=y) }}", "computed-argument"),
    "map a private attribute": ("{{ x | map(attribute='a._b') }}", "attribute"),
    "map attr": ("{{ x | map('attr', 'a') }}", "filter"),
    "map a computed filter": ("{{ x | map(y) }}", "computed-argument"),
    "selectattr by a variable": ("{{ x | selectattr(y) }}", "computed-argument"),
    "selectattr with an unknown test": ("{{ x | selectattr('a', 'callable') }}", "test"),
    "select by a computed test": ("{{ x | select(y) }}", "computed-argument"),
    "sort by a variable": ("{{ x | sort(attribute=y) }}", "computed-argument"),
    "sort by a positional variable": ("{{ x | sort(false, false, y) }}", "computed-argument"),
    "star arguments": ("{{ x | map(*y) }}", "computed-argument"),
    "double-star arguments": ("{{ dict(**y) }}", "computed-argument"),
    "star arguments of a test": ("{{ x is defined(*y) }}", "computed-argument"),
    "groupby": ("{{ x | groupby('a') }}", "filter"),
    "call on a call": ("{{ x.get('y')() }}", "call"),
    "call on a subscript": ("{{ x['get']('y') }}", "call"),
    "call of a variable": ("{{ x() }}", "call"),
    "unlisted method": ("{{ x.popen('id') }}", "call"),
    "mro": ("{{ x.mro() }}", "call"),
    "globals of a listed call": ("{{ raise_exception.__globals__ }}", "attribute"),
    "pprint": ("{{ x | pprint }}", "filter"),
    "xmlattr": ("{{ x | xmlattr }}", "filter"),
    "unlisted test": ("{{ x is callable }}", "test"),
    "dunder name": ("{{ __builtins__ }}", "dunder"),
    "dunder keyword": ("{{ namespace(__class__=1) }}", "dunder"),
    "private namespace field": ("{% set ns = namespace() %}{% set ns._x = 1 %}", "attribute"),
    "syntax error": ("{% if %}", "syntax"),
    "unknown tag": ("{% do x.append(1) %}", "syntax"),
    "huge number": ("{{ " + "9" * 5_000 + " }}", "syntax"),
    "deep nesting": ("{{ " + "(" * 5_000 + "x" + ")" * 5_000 + " }}", "too-large"),
    "invisible character": ("{{ x }}\u200b", "invisible"),
    "tag characters": ("{{ x }}\U000e0041\U000e0042", "invisible"),
    "bidirectional override": ("{{ x }}\u202e", "invisible"),
    "too many bytes": ("x" * (limits.TEMPLATE_BYTES + 1), "too-large"),
}


def errors(source: str) -> set[str]:
    found = check_template(source, RULES.templates)
    return {problem.rule.removeprefix("template.") for problem in found if RULES.rules[problem.rule].severity is Severity.ERROR}


@pytest.mark.parametrize("source", BENIGN.values(), ids=BENIGN)
def test_what_real_templates_do_is_accepted(source: str) -> None:
    assert check_template(source, RULES.templates) == ()


@pytest.mark.parametrize(("source", "rule"), HOSTILE.values(), ids=HOSTILE)
def test_shape_is_refused_by_its_rule(source: str, rule: str) -> None:
    assert rule in errors(source)


def test_a_template_of_too_many_nodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TEMPLATE_NODES", 100)
    assert errors("{{x}}" * 20) == set()
    assert "too-large" in errors("{{x}}" * 101)


def test_there_are_more_than_40_hostile_shapes() -> None:
    assert len(HOSTILE) >= 40


GROWING: dict[str, Callable[[int], str]] = {
    "long sum": lambda n: "{{ " + " + ".join(["x"] * n) + " }}",
    "long chain of subscripts": lambda n: "{{ x" + "['a']" * n + " }}",
    "long chain of sets": lambda n: (
        "".join(f"{{% set a{i} = a{i + 1} %}}" for i in range(n)) + f"{{% set a{n} = 'x' ~ y %}}{{{{ x[a0] }}}}"
    ),
    "many branches": lambda n: "{% if a %}" + "{% elif 'word one' in m.content %}x" * n + "{% endif %}",
    "long chain of filters": lambda n: "{{ x" + " | trim" * n + " }}",
}


@pytest.mark.parametrize("name", GROWING)
def test_cost_grows_with_the_size_of_a_template_and_not_its_square(name: str) -> None:
    small, large = GROWING[name](100), GROWING[name](200)
    assert calls(lambda: check_template(large, RULES.templates)) < 2.2 * calls(lambda: check_template(small, RULES.templates))


FRAGMENTS = [
    "{{",
    "}}",
    "{%",
    "%}",
    "if ",
    "for ",
    "x",
    " in ",
    "endif",
    "endfor",
    "'a'",
    "[",
    "]",
    "(",
    ")",
    ".",
    "|",
    "set ",
    "=",
    "~",
    "_",
    "9",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join) | st.text(max_size=40))
@settings(max_examples=150)
def test_no_text_raises_anything(source: str) -> None:
    check_template(source, RULES.templates)
