use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn render(source: &str, messages: &[Json]) -> Result<String, TemplateError> {
    let variables = json!({"bos_token": "<s>"}).as_object().cloned().unwrap_or_default();
    let template = Template::new(source, variables, Moment::from_unix(1_735_603_199))?;
    template.render(&Conversation { messages, add_generation_prompt: true, ..Conversation::default() })
}

#[test]
fn the_dialect_is_that_of_transformers() {
    let check = |source: &str, expect: &str| {
        let messages = [json!({"role": "user", "content": "é <b>", "n": 1e16, "x": [1, 2.0, true, null]})];
        assert_eq!(render(source, &messages).as_deref(), Ok(expect), "{source}");
    };
    check("{{ bos_token }}{% if true %}\n  a\n  {% endif %}\nb\n", "<s>  a\nb");
    check(
        "{{ messages[0] | tojson }}",
        r#"{"role": "user", "content": "é <b>", "n": 1e+16, "x": [1, 2.0, true, null]}"#,
    );
    check("{{ messages[0].x | tojson(indent=2) }}", "[\n  1,\n  2.0,\n  true,\n  null\n]");
    check(
        "{{ {'b': 'é', 'a': []} | tojson(sort_keys=true, ensure_ascii=true, separators=(',', ':')) }}",
        r#"{"a":[],"b":"\u00e9"}"#,
    );
    check("{{ strftime_now('%d %b %Y') }}", "30 Dec 2024");
    check("{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "012");
    check("a {%- generation -%} {% set x = 1 %}b {%- endgeneration %} c{{ x }}", "ab c");
    check("{{ messages[::-1][0].content.split(' ')[-1].strip('<>') }}", "b");
    check(
        "{{ 'x' is sequence }}{{ none is none }}{{ tools is defined }}{{ true }}{{ [1, 'a'] }}",
        "TrueTrueTrueTrue[1, 'a']",
    );
}

#[test]
fn a_refusal_and_a_mistake_are_one_line() {
    let check = |source: &str, expect: &str| {
        assert_eq!(render(source, &[]).unwrap_err().0, expect, "{source}");
    };
    check("{{ raise_exception('Roles\nmust alternate') }}", "Roles must alternate");
    check("a\n{{ messages[0].content.x }}", "list object has no element 0 in line 2");
    check("a\n{% if %}", "syntax error: expected an expression, found the end of the tag in line 2");
    check("{% for x in y %}", "syntax error: the template ends, but endfor or else is missing in line 1");
    check("{{ 'a' | nothing }}", "there is no filter named \"nothing\" in line 1");
    let long = format!("{{{{ raise_exception('{}') }}}}", "x".repeat(1000));
    assert_eq!(render(&long, &[]).unwrap_err().0.chars().count(), 501);
}

fn ends_with_a_message(source: &str) {
    let begin: String = source.chars().take(200).collect();
    let message = render(source, &[]).expect_err(&begin).0;
    assert!(message.chars().count() <= 600 && !message.contains('\n'), "{message}");
}

#[test]
fn a_template_that_takes_all_time_or_memory_ends_with_a_message() {
    let doubled = |what: &str, start: &str| {
        format!(
            "{{% set ns = namespace(x={start}) %}}{{% for i in range(99) %}}{{% set ns.x = {what} %}}{{% endfor %}}\
             {{{{ ns.x | length }}}}"
        )
    };
    let sources = [
        "{% for i in range(99999) %}{% for i in range(99999) %}x{% endfor %}{% endfor %}".to_string(),
        "{% for i in range(99999) %}{% for i in range(99999) %}{% endfor %}{% endfor %}".into(),
        "{{ 'a' * 99999999999 }}".into(),
        "{{ [0] * 99999999999 }}".into(),
        "{{ ([0] * 9999) * 99999 }}".into(),
        "{{ '%99999999999d' % 1 }}".into(),
        "{{ '%.99999999999f' % 1 }}".into(),
        "{{ '%99999999999999999999999999s' % 1 }}".into(),
        "{{ '%*d' % (99999999999, 1) }}".into(),
        "{{ '{:99999999999}'.format(1) }}".into(),
        "{{ '{:.99999999999f}'.format(1.0) }}".into(),
        "{{ 'a'.center(99999999999) }}".into(),
        "{{ 'a'.ljust(99999999999, 'é') }}".into(),
        "{{ 'a'.zfill(99999999999) }}".into(),
        "{{ '\t'.expandtabs(99999999999) }}".into(),
        "{{ 'a' | center(99999999999) }}".into(),
        "{{ 'a' | indent(99999999999, true) }}".into(),
        "{{ [[]] | tojson(indent=99999999999) }}".into(),
        "{{ [1] | batch(99999999999, 0) | list }}".into(),
        "{{ [1] | slice(99999999999) | list }}".into(),
        "{{ ('a' * 99999).replace('', 'b' * 99999) }}".into(),
        "{{ ('a' * 99999).join('b' * 99999) }}".into(),
        "{{ 2 ** 99999999999 }}".into(),
        doubled("ns.x ~ ns.x", "'a'"),
        doubled("ns.x + ns.x", "'a'"),
        doubled("ns.x + ns.x", "[1]"),
        doubled("[ns.x, ns.x] | string", "'a'"),
        doubled("ns.x | e ~ '&&'", "'&' * 9999"),
        // Small values whose text or comparison would be endless.
        doubled("[ns.x, ns.x]", "[]").replace("| length", "| tojson"),
        doubled("[ns.x, ns.x]", "[]").replace("| length", "| string"),
        "{% set ns = namespace(x=[], y=[]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}\
         {% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}"
            .into(),
        doubled("(ns.x, ns.x)", "()").replace("{{ ns.x | length }}", "{{ {ns.x: 1} }}"),
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}".into(),
        "{% set ns = namespace(x={}) %}{% for i in range(9999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}".into(),
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] | map('list') %}{% endfor %}"
            .into(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(),
        "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m('a') }}".into(),
        "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}"
            .into(),
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}".into(),
    ];
    for source in &sources {
        ends_with_a_message(source);
    }
}

#[test]
fn a_template_that_takes_all_of_the_stack_ends_with_a_message() {
    let nested = |open: &str, close: &str, times: usize| {
        format!("{{{{ {}1{} }}}}", open.repeat(times), close.repeat(times))
    };
    let sources = [
        nested("(", ")", 99_999),
        nested("[", "]", 99_999),
        nested("{1:", "}", 99_999),
        nested("not ", "", 99_999),
        nested("-", "", 99_999),
        nested("1 + ", "", 99_999),
        nested("1 ~ ", "", 99_999),
        nested("1 if 1 else ", "", 99_999),
        nested("", "|string", 99_999),
        nested("x", ".y", 99_999),
        nested("x", "[0]", 99_999),
        nested("x", "()", 99_999),
        nested("", " is string", 99_999),
        format!("{}{}", "{% if 1 %}".repeat(99_999), "{% endif %}".repeat(99_999)),
        "{% if 1 %}".repeat(99_999),
        "{{".repeat(99_999),
        "{#".repeat(99_999),
        "x".repeat(LARGEST + 1),
    ];
    for source in &sources {
        ends_with_a_message(source);
    }
}

#[test]
fn what_refers_to_itself_is_written_once() {
    let check =
        |source: &str, expect: &str| assert_eq!(render(source, &[]).as_deref(), Ok(expect), "{source}");
    check(
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns.x.x.x is defined }}{{ ns == ns.x }}",
        "TrueTrue",
    );
    check("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns }}{{ ns.x }}", "<Namespace>[<Namespace>]");
    check("{% macro m() %}{{ m.name }}{% endmacro %}{% set x = [m] %}{{ m() }}", "m");
}

#[test]
fn a_long_conversation_is_within_the_budget() {
    let text = "word ".repeat(2000);
    let messages: Vec<Json> = (0..200).map(|_| json!({"role": "user", "content": text})).collect();
    // The worst case of real templates: all text so far is copied for every message.
    let source = "{% set ns = namespace(all='') %}{% for m in messages %}\
        {% set ns.all = ns.all + m.content | trim | e | replace('a', 'b') %}{% endfor %}{{ ns.all }}";
    let rendered = render(source, &messages).map(|text| text.len());
    assert_eq!(rendered, Ok(200 * (text.len() - 1)));
}

#[test]
fn reasoning_has_all_its_names() {
    let messages = [json!({"role": "assistant", "reasoning": "r"})];
    assert_eq!(
        render("{{ messages[0].reasoning_content ~ messages[0].thinking }}", &messages).unwrap(),
        "rr"
    );
}

/// Pieces of templates, and what they are made of.
const PIECES: [&str; 84] = [
    "{{ ",
    " }}",
    "{%- ",
    " -%}",
    "{% ",
    " %}",
    "{#",
    "#}",
    "\n",
    "  ",
    "x",
    "messages",
    "[0]",
    "[-1]",
    "[::-1]",
    "[1:",
    "]",
    "(",
    ")",
    "{",
    "}",
    ".content",
    ".items()",
    ".split(",
    ".strip()",
    ".replace('a', 'é')",
    ".format(1, x='😀')",
    ".center(",
    "'%s %5.2f' % ",
    "'{:>5}|{}'",
    "'é数😀'",
    "''",
    "\"a'b\"",
    "1",
    "0",
    "-1",
    "2.5",
    "1e308",
    "170141183460469231731687303715884105727",
    "true",
    "none",
    "absent",
    " + ",
    " - ",
    " * ",
    " / ",
    " // ",
    " % ",
    " ** ",
    " ~ ",
    " == ",
    " < ",
    " in ",
    " not in ",
    " and ",
    " or ",
    "not ",
    " if ",
    " else ",
    " is ",
    "defined",
    "odd",
    "sequence",
    "|",
    "tojson",
    "list",
    "join(",
    "map(attribute='content')",
    "round(-38)",
    "indent(",
    "sort",
    "batch(2)",
    "truncate(",
    ", ",
    "set y = ",
    "set ns = namespace(a=1)",
    "set ns.a = ",
    "for c in ",
    "endfor",
    "if ",
    "endif",
    "macro m(a, b=1)",
    "endmacro",
    "m(1)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_template_panics(pieces in vec(select(&PIECES[..]), 0..24), printed in any::<bool>()) {
        let inner = pieces.concat();
        let source = if printed { format!("{{{{ {inner} }}}}") } else { inner };
        let messages = [json!({"role": "user", "content": "a é <b>\n数"})];
        let _ = render(&source, &messages);
    }
}
