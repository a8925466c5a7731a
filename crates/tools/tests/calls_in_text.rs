//! Holds how calls in text are read, kind by kind: calls, drafts, mentions and malformed calls.

mod reading;

use reading::{NONE, check, found};
use serde_json::{Value, json};
use turnwise_tools::format::Opening;
use turnwise_tools::report::ParseReport;
use turnwise_tools::{FormatName, ToolSpec, spec_file};
use turnwise_trajectory::ViolationKind;

#[track_caller]
fn typed(format: FormatName, parameter: &Value, text: &str, expect: &[&str]) {
    let tools = json!([{"name": "f", "parameters": {"type": "object", "properties": {"x": parameter}}}]);
    let tools = spec_file::tools(&tools).unwrap();
    assert_eq!(found(format, Opening::Unknown, text, Some(&tools)), expect, "{format}, {parameter}: {text}");
}

/// Returns a call of each format, of `f` with the argument `x`.
fn calls(x: &str) -> Vec<(FormatName, String)> {
    let arguments = serde_json::Map::from_iter([("x".to_string(), Value::from(x))]);
    let call = turnwise_trajectory::ToolCall { name: "f".into(), arguments, span: 0..0 };
    let fenced = |format: &FormatName| format.to_string().starts_with("fenced_python");
    let formats = FormatName::ALL.into_iter().filter(|format| !fenced(format));
    formats.map(|format| (format, format.build().render(&call))).collect()
}

#[test]
fn thoughts_hold_no_calls() {
    for (format, call) in calls("1") {
        let real = r#"f {"x":"1"}"#;
        let check = |opening, text: &str, expect: &[&str]| {
            assert_eq!(found(format, opening, text, None), expect, "{format}, {opening:?}: {text}");
        };
        for opening in [Opening::Answer, Opening::Unknown] {
            check(opening, &format!("<think>\nMaybe\n{call}\nno.\n</think>\n\n{call}"), &[real]);
            check(opening, &format!("<think>{call}</think>{call}"), &[real]);
            check(opening, &format!("<think>\nMaybe\n{call}"), NONE);
            check(opening, &format!("{call}\n<think>\n{call}\n</think>\n{call}"), &[real, real]);
            check(opening, &format!("Well. <think>Or {call} then</think>\n{call}"), &[real]);
            check(opening, &format!("The <think> tag is no thought.\n{call}"), &[real]);
        }
        for opening in [Opening::Thought, Opening::Unknown] {
            check(opening, &format!("Maybe\n{call}\nno.\n</think>\n\n{call}"), &[real]);
            check(opening, &format!("{call}</think>"), NONE);
            check(opening, &format!("</think>\n{call}"), &[real]);
        }
        check(Opening::Thought, &format!("Maybe\n{call}"), NONE);
        check(Opening::Thought, &format!("<think>\n{call}</think>\n{call}"), &[real]);
        check(Opening::Answer, &format!("{call}\n</think>"), &[real]);
    }
}

#[test]
fn a_thought_ends_whatever_its_drafts_look_like() {
    use FormatName::{Hermes, Llama3Json, Mistral, Pythonic, QwenXml};
    for (format, mention) in [
        (Hermes, "It stands in <tool_call> tags."),
        (Hermes, "It stands in `<tool_call>` and `</tool_call>`."),
        (Hermes, "First <tool_call>{\"name\": and so on."),
        (Hermes, "First <tool_call>{\"name\": \"f\", \"arguments\": {\"x\": \"5\" pipe\"}}"),
        (Hermes, "I close it with </tool_call> then, and wait for <tool_response>."),
        (QwenXml, "First <tool_call>\n<function=f>\n<parameter=x>"),
        (QwenXml, "It stands in <function=f> tags."),
        (Llama3Json, "Perhaps\n{\"name\": \"f\", \"parameters\": {\"x\": "),
        (Llama3Json, "With <|python_tag|> I could"),
        (Mistral, "The [TOOL_CALLS] marker comes first"),
        (Mistral, "Then [TOOL_CALLS] [{\"name\": \"f\""),
        (Pythonic, "Perhaps\n[f(x='"),
    ] {
        let (_, call) = calls("1").into_iter().find(|(name, _)| *name == format).unwrap();
        let rest = format!("{mention}\n</think>\n\n{call}");
        for (opening, text) in [(Opening::Thought, &rest), (Opening::Answer, &format!("<think>\n{rest}"))] {
            assert_eq!(
                found(format, opening, text, None),
                [r#"f {"x":"1"}"#],
                "{format}, {opening:?}: {text}"
            );
        }
    }
    // A string of the draft may quote the tag.
    let draft = r#"<tool_call>{"name": "f", "arguments": {"x": "a </think> b"}}</tool_call>"#;
    check(Hermes, &format!("<think>\n{draft}\n</think>\n{draft}"), &[r#"f {"x":"a </think> b"}"#]);
}

#[test]
fn a_string_argument_may_hold_tags_of_thoughts() {
    for x in
        ["<think>", "</think>", "<think>a</think>", "\n<think>\n", "a\n</think>\n<tool_call>", "[/THINK]"]
    {
        for (format, call) in calls(x) {
            let expect = [format!("f {}", json!({"x": x}))];
            for opening in [Opening::Answer, Opening::Unknown] {
                assert_eq!(found(format, opening, &call, None), expect, "{format}, {opening:?}: {call}");
                let text = format!("<think>\nIn a thought.\n</think>\n{call}");
                assert_eq!(found(format, opening, &text, None), expect, "{format}, {opening:?}: {text}");
            }
        }
    }
    // A draft that is cut off in its string is still a call.
    check(FormatName::Hermes, r#"<tool_call>{"name": "f", "arguments": {"x": "</think>"#, &["!unterminated"]);
    check(FormatName::QwenXml, "<tool_call>\n<function=f>\n<parameter=x>\n</think>", &["!unterminated"]);
}

#[test]
fn formats_say_what_a_thought_is() {
    let call = "[TOOL_CALLS]f[ARGS]{}";
    check(FormatName::Mistral, &format!("[THINK]{call}[/THINK]{call}"), &["f {}"]);
    let code = "<code>1</code>";
    check(FormatName::ReTool, &format!("<think>{code}</think>"), &[r#"python {"code":"1"}"#]);
    check(FormatName::FencedPython, "<think>\n```python\n1\n```\n</think>", NONE);
}

#[test]
fn a_mention_loses_no_call() {
    use FormatName::{DeepSeek, Hermes, Mistral};
    let call = r#"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#;
    for mention in
        ["A <tool_call> for the 5\" pipe:", "`<tool_call>` it's \"", "<tool_call>\n\"", "Use <tool_call>{\"x"]
    {
        check(Hermes, &format!("{mention}\n{call}"), &["!unterminated", "f {}"]);
    }
    let open = "<｜tool▁call▁begin｜>";
    let call = format!("{open}f<｜tool▁sep｜>{{}}<｜tool▁call▁end｜>");
    check(DeepSeek, &format!("The {open} for a 5\" pipe\n{call}"), &["!unterminated", "f {}"]);
    check(Mistral, "The [TOOL_CALLS] marker of 5\"\n[TOOL_CALLS]f[ARGS]{}", &["!invalid_json", "f {}"]);
    check(Mistral, "[TOOL_CALLS]\n[TOOL_CALLS]f[ARGS]{}", &["!unterminated", "f {}"]);
    check(Mistral, r#"[TOOL_CALLS] [{"name": "f" [TOOL_CALLS]f[ARGS]{}"#, &["!unterminated", "f {}"]);
}

#[test]
fn hermes_is_read_as_models_write_it() {
    let check = |text: &str, expect: &[&str]| check(FormatName::Hermes, text, expect);
    let (f, g) = (r#"{"name": "f", "arguments": {"x": 1}}"#, r#"{"name": "g", "arguments": {}}"#);
    let both = [r#"f {"x":1}"#, "g {}"];
    for between in ["", "\n", ", ", ";\n"] {
        check(&format!("<tool_call>\n{f}{between}{g}\n</tool_call>"), &both);
    }
    check(&format!("<tool_call>[{f}, {g}]</tool_call>"), &both);
    check(&format!("<tool_call>{f}</tool_call><tool_call>{g}</tool_call>"), &both);
    check(&format!("<tool_call>{f}<tool_call>{g}</tool_call>"), &["!unterminated", "g {}"]);
    check(&format!("<tool_call>{f},</tool_call>"), &["!invalid_json"]);
    check(&format!("<tool_call>{f}}}</tool_call>"), &["!invalid_json"]);
    check("<tool_call>[]</tool_call>", &["!empty"]);
    // OpenAI's interface writes arguments like this.
    check(r#"<tool_call>{"name": "f", "arguments": "{\"x\": 1}"}</tool_call>"#, &[r#"f {"x":1}"#]);
    check(r#"<tool_call>{"name": "f", "arguments": "x"}</tool_call>"#, &["!invalid_json"]);
    check(r#"<function=f>{"x": "</function>"}</function>"#, &[r#"f {"x":"</function>"}"#]);
    // An opening tag is missing; a closing one is repeated.
    check(&format!("Let me look.\n{f}\n</tool_call>"), &["!invalid_json"]);
    check(&format!("Let me look.\n{f}"), &["!invalid_json"]);
    check("The result:\n{\"name\": \"Ada\", \"age\": 36}", NONE);
    check(&format!("{{\"name\": \"g\n<tool_call>{f}</tool_call>"), &[r#"f {"x":1}"#]);
    check(&format!("<tool_call>{f}</tool_call>\n</tool_call>"), &[r#"f {"x":1}"#]);
}

#[test]
fn qwen_xml_is_read_as_models_write_it() {
    let check = |text: &str, expect: &[&str]| check(FormatName::QwenXml, text, expect);
    let function = |name: &str| format!("<function={name}>\n<parameter=x>\n1\n</parameter>\n</function>");
    let (f, g) = (function("f"), function("g"));
    let both = [r#"f {"x":1}"#, r#"g {"x":1}"#];
    check(&format!("<tool_call>\n{f}\n{g}\n</tool_call>"), &both);
    check(&format!("<tool_call>\n{f}\n</tool_call>\n<tool_call>\n{g}\n</tool_call>"), &both);
    check(&format!("<tool_call>\n{f}\n<function=g>\n</tool_call>"), &[r#"f {"x":1}"#, "!invalid_json"]);
    check(&format!("Let me look.\n\n{f}\n</tool_call>"), &[r#"f {"x":1}"#]);
    check(&format!("{f}\n{g}"), &both);
    check("<function=f></function>", &["f {}"]);
    check(r#"<function=f>{"x": 1}</function>"#, &[r#"f {"x":1}"#]);
    check("<tool_call>\n<function=f>\n{\"x\": 1}\n</function>\n</tool_call>", &[r#"f {"x":1}"#]);
    check("So:\n</tool_call>", &["!invalid_json"]);
    // A value may hold every tag, as long as the call continues after the right one.
    let x = "r'<parameter=a>(.*)</parameter>' + '<tool_call></function></tool_call>'";
    let text = format!("<tool_call><function=f><parameter=x>\n{x}\n</parameter></function></tool_call>");
    check(&text, &[&format!("f {}", json!({"x": x}))]);
}

#[test]
fn llama3_json_is_read_as_models_write_it() {
    let check = |text: &str, expect: &[&str]| check(FormatName::Llama3Json, text, expect);
    let (f, g) = (r#"{"name": "f", "parameters": {"x": 1}}"#, r#"{"name": "g", "parameters": {}}"#);
    let both = [r#"f {"x":1}"#, "g {}"];
    for between in ["", " ", "; ", ";", ", ", "\n", ";\n\n"] {
        check(&format!("{f}{between}{g}"), &both);
        check(&format!("<|python_tag|>{f}{between}{g}"), &both);
        check(&format!("<|python_tag|>{f}{between}<|python_tag|>{g}"), &both);
    }
    check(&format!("[{f}, {g}]"), &both);
    check(&format!("[\n  {f},\n  {g}\n]"), &both);
    check(&format!("<|python_tag|>[{f}, {g}]"), &both);
    check(&format!("I call {f} now."), &[r#"f {"x":1}"#]);
    check(r#"{"type": "function", "name": "f", "parameters": {}}"#, &["f {}"]);
    check(r#"<function=f>{"x": 1}</function>"#, &[r#"f {"x":1}"#]);
    // Answers are JSON too.
    for answer in [
        r#"{"name": "Ada", "age": 36}"#,
        r#"[{"name": "Ada", "age": 36}, {"name": "Bob", "age": 7}]"#,
        r#"{"parameters": 7, "layers": 2}"#,
        r#"{"name": "resnet", "parameters": 25000000}"#,
        r#"{"model": "m", "parameters": {"x": 1}}"#,
        r#"So {"name": "Ada"} it is."#,
        "[1, 2]",
        "[]",
        "{}",
        "{ x : x > 0 }",
        "[1]: a footnote",
    ] {
        check(answer, NONE);
        check(&format!("The result:\n{answer}\nand\n{f}"), &[r#"f {"x":1}"#]);
    }
    // A bracket that is never closed swallows no call.
    check(&format!("Let\n{{\"a\": [1,\n{f}"), &[r#"f {"x":1}"#]);
    check(
        &format!("{{\"name\": \"g\", \"parameters\": {{\"x\": \"\n{f}"),
        &["!unterminated", r#"f {"x":1}"#],
    );
    check("[{\"name\": \"f\", \"parameters\": {", &["!unterminated"]);
}

#[test]
fn what_follows_a_python_tag_is_code_unless_it_is_json() {
    let check = |text: &str, expect: &[&str]| check(FormatName::Llama3Json, text, expect);
    check(
        "<|python_tag|>import math\nprint(math.pi)\n",
        &[r#"python {"code":"import math\nprint(math.pi)"}"#],
    );
    check("<|python_tag|>\n  if x:\n    y<|eom_id|>", &[r#"python {"code":"  if x:\n    y"}"#]);
    check("<|python_tag|>[x for x in y]", &[r#"python {"code":"[x for x in y]"}"#]);
    check("<|python_tag|>{1, 2}", &[r#"python {"code":"{1, 2}"}"#]);
    check("<|python_tag|>1<|python_tag|>2", &[r#"python {"code":"1"}"#, r#"python {"code":"2"}"#]);
    check(r#"<|python_tag|>brave_search.call(query="a(b)")"#, &[r#"brave_search {"query":"a(b)"}"#]);
    check("<|python_tag|>os.call(1)", &[r#"python {"code":"os.call(1)"}"#]);
    check("<|python_tag|>", &["!unterminated"]);
    check("<|python_tag|> <|eom_id|>", &["!empty"]);
    check(r#"<|python_tag|>{"name": 1}"#, &["!invalid_json"]);
    check(r#"<|python_tag|>{"name": "f", "#, &["!unterminated"]);
}

#[test]
fn mistral_is_read_as_models_write_it() {
    let check = |text: &str, expect: &[&str]| {
        for format in [FormatName::Mistral, FormatName::MistralArgs] {
            check(format, text, expect);
        }
    };
    let both = [r#"f {"x":1}"#, "g {}"];
    check(r#"[TOOL_CALLS]f[CALL_ID]abc123def[ARGS]{"x": 1}"#, &both[..1]);
    check(r#"[TOOL_CALLS]f[CALL_ID]a[ARGS]{"x": 1}[TOOL_CALLS]g[CALL_ID]b[ARGS]{}"#, &both);
    check(r#"[TOOL_CALLS] f [ARGS] {"x": 1}"#, &both[..1]);
    check(r#"[TOOL_CALLS]f{"x": 1}[TOOL_CALLS]g{}"#, &both);
    check(r#"[TOOL_CALLS]f[ARGS]{"x": "[ARGS][TOOL_CALLS]"}"#, &[r#"f {"x":"[ARGS][TOOL_CALLS]"}"#]);
    let (f, g) = (r#"{"name": "f", "arguments": {"x": 1}, "id": "a"}"#, r#"{"name": "g", "arguments": {}}"#);
    for text in [format!("[{f}, {g}]"), format!("{f}{g}"), format!("{f}, {g}"), format!("[{f}]\n[{g}]")] {
        check(&format!("[TOOL_CALLS] {text}"), &both);
    }
    check(r#"[TOOL_CALLS]f[ARGS]{"x": 1}g[ARGS]{}"#, &[both[0], "!invalid_json"]);
    check("[TOOL_CALLS]f[ARGS]{} {\"note\": 1}", &["f {}"]);
    check("[TOOL_CALLS]f[CALL_ID]abc", &["!unterminated"]);
    check(&format!("Let me look.\n[{f}]"), &["!invalid_json"]);
    check("[{\"name\": \"Ada\", \"age\": 36}]", NONE);
    check("[TOOL_CALLS]f[ARGS]none", &["!empty"]);
}

#[test]
fn deepseek_is_read_as_models_write_it() {
    let check = |text: &str, expect: &[&str]| {
        let text = text.replace("B>", "<｜tool▁call▁begin｜>").replace("E>", "<｜tool▁call▁end｜>");
        check(FormatName::DeepSeek, &text.replace("S>", "<｜tool▁sep｜>"), expect);
    };
    for body in [
        "functionS>f\n```json\n{\"x\": 1}\n```",
        "functionS>f\n{\"x\": 1}",
        "functionS>f\n```\n{\"x\": 1}\n```",
    ] {
        check(&format!("B>{body}E>"), &[r#"f {"x":1}"#]);
    }
    check("B>functionS>{\"x\": \"```json\"}E>", &[r#"function {"x":"```json"}"#]);
    check("B>fS>```json\n{}\n```E>\nB>gS>{}E>", &["f {}", "g {}"]);
    check("functionS>f\n```json\n{}\n```E>", &["!invalid_json"]);
    check("So E>", &["!invalid_json"]);
    check("B>fS>{}E>E>", &["f {}"]);
}

#[test]
fn pythonic_lists_are_read_as_models_write_them() {
    let check = |text: &str, expect: &[&str]| check(FormatName::Pythonic, text, expect);
    check("[f(x=-1), g(y=+.5)]", &[r#"f {"x":-1}"#, r#"g {"y":0.5}"#]);
    check("[f()][g()]", &["f {}", "g {}"]);
    check("[f()]\n[g()]", &["f {}", "g {}"]);
    check("[\n  f(x=1),\n  g(),\n]", &[r#"f {"x":1}"#, "g {}"]);
    check("[get-weather(city='x')]", &[r#"get-weather {"city":"x"}"#]);
    check("I call [f(x=1)] now.", &[r#"f {"x":1}"#]);
    check("On [f(a), f(b)] or [f()] it holds.", NONE);
    check("[f(x='a)]'), g(y=\")\")]", &[r#"f {"x":"a)]"}"#, r#"g {"y":")"}"#]);
    check("[f(x=1\n[g()]", &["!unterminated", "g {}"]);
    check("[f(x=g(1))]", &["!invalid_json"]);
}

#[test]
fn fences_are_those_of_common_mark() {
    let check = |text: &str, expect: &[&str]| {
        for format in [FormatName::FencedPython, FormatName::SimpleTir] {
            assert_eq!(found(format, Opening::Unknown, text, None), expect, "{format}: {text}");
        }
    };
    let one = &[r#"python {"code":"x = 1"}"#][..];
    for name in [
        "python",
        "py",
        "Python",
        "PYTHON",
        "python3",
        "py3",
        " python",
        "{python}",
        "{.python}",
        "python title=\"a\"",
    ] {
        check(&format!("```{name}\nx = 1\n```"), one);
        check(&format!("So ```{name}\nx = 1\n```\nthen"), one);
    }
    for name in ["", "text", "pycon", "json", "pythonic"] {
        check(&format!("```{name}\nx = 1\n```"), NONE);
    }
    check("~~~python\nx = 1\n~~~", one);
    check("````python\nx = 1\n````", one);
    check("```python\nx = 1\n`````", one);
    check("```python\nx = 1\n```  \n", one);
    check("```python\r\nx = 1\r\n```\r\n", one);
    check("```python\nx = 1\n``` and so on", one);
    check("````python\n'''\n```\n'''\n````", &[r#"python {"code":"'''\n```\n'''"}"#]);
    let list = "1. First:\n   ```python\n   if x:\n       y\n   ```\n2. Then:\n\t```py\n\tz\n\t```\n- ```python\n  z\n  ```";
    check(list, &[r#"python {"code":"if x:\n    y"}"#, r#"python {"code":"z"}"#, r#"python {"code":"z"}"#]);
    // A block that another one quotes is no call. A block after one without an end is a call.
    check("````markdown\n```python\nx = 1\n```\n````\n", NONE);
    check("```text\nnever closed\n```python\nx = 1\n```", one);
    check("```text\nclosed\n```\n```python\nx = 1\n```", one);
    check("The block ```python x``` is no block.", NONE);
    check("```python\nx = 1", &["!unterminated"]);
    check("```python\nx = 1\n~~~", &["!unterminated"]);
}

#[test]
fn values_have_the_types_of_their_schemas() {
    let qwen = |schema: Value, raw: &str, expect: &str| {
        let text = format!(
            "<tool_call>\n<function=f>\n<parameter=x>\n{raw}\n</parameter>\n</function>\n</tool_call>"
        );
        let expect = if expect.starts_with('!') { expect.into() } else { format!("f {{\"x\":{expect}}}") };
        typed(FormatName::QwenXml, &schema, &text, &[&expect]);
    };
    let optional = |name: &str| json!({"anyOf": [{"type": name}, {"type": "null"}]});
    for text in [
        json!({"type": "string"}),
        json!({"type": ["string", "null"]}),
        json!({"type": "string", "nullable": true}),
        json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
        optional("string"),
    ] {
        for (raw, expect) in
            [("8001", "\"8001\""), ("1e3", "\"1e3\""), ("[1]", "\"[1]\""), ("True", "\"True\"")]
        {
            qwen(text.clone(), raw, expect);
        }
    }
    qwen(json!({"type": "string"}), "null", "\"null\"");
    qwen(json!({"type": "string"}), "None", "\"None\"");
    qwen(optional("string"), "null", "null");
    qwen(optional("string"), "None", "null");
    for (raw, expect) in [("True", "true"), ("false", "false"), ("False", "false"), ("yes", "!wrong_type")] {
        qwen(json!({"type": "boolean"}), raw, expect);
        qwen(optional("boolean"), raw, expect);
    }
    for (raw, expect) in
        [("7", "7"), (" 7 ", "7"), ("7.0", "7.0"), ("7.5", "!wrong_type"), ("seven", "!wrong_type")]
    {
        qwen(json!({"type": "integer"}), raw, expect);
        qwen(optional("integer"), raw, expect);
    }
    qwen(json!({"type": "array"}), "['a', True]", r#"["a",true]"#);
    qwen(json!({"type": "object"}), "{'a': None}", r#"{"a":null}"#);
    qwen(json!({"type": ["string", "integer"]}), "8001", "8001");
    qwen(json!({"enum": ["1", "2"]}), "1", "\"1\"");
    qwen(json!({"enum": [1, 2]}), "1", "1");
    qwen(json!({}), "8001", "8001");
    qwen(json!({}), "True", "\"True\"");

    let hermes = |schema: Value, value: &str, expect: &str| {
        let text = format!("<tool_call>{{\"name\": \"f\", \"arguments\": {{\"x\": {value}}}}}</tool_call>");
        typed(FormatName::Hermes, &schema, &text, &[expect]);
    };
    hermes(json!({"type": "string", "nullable": true}), "null", r#"f {"x":null}"#);
    hermes(json!({"type": "string", "default": null}), "null", r#"f {"x":null}"#);
    hermes(json!({"enum": [1, 2]}), "1.0", r#"f {"x":1.0}"#);
    hermes(json!({"enum": [1, 2]}), "3", "!wrong_type");
    hermes(json!({"type": "string"}), "8001", "!wrong_type");
}

#[test]
fn names_that_are_not_offered_are_unknown_tools() {
    for (format, call) in calls("1") {
        let checked = format.build().parse_checked(&call, &[ToolSpec::python()]);
        assert_eq!(checked[0].as_ref().unwrap_err().kind, ViolationKind::UnknownTool, "{format}: {call}");
        assert_eq!(
            format.build().parse_checked(&call, &[])[0].as_ref().unwrap_err().kind,
            ViolationKind::UnknownTool
        );
    }
    for name in ["天気", "get weather", "a/b:c", "f()"] {
        let call = format!("<tool_call>{}</tool_call>", json!({"name": name, "arguments": {}}));
        let tools = [ToolSpec::new(name, "", Value::Null)];
        assert!(FormatName::Hermes.build().parse_checked(&call, &tools)[0].is_ok(), "{name}");
        let others = found(FormatName::Hermes, Opening::Unknown, &call, Some(&[ToolSpec::python()]));
        assert_eq!(others, ["!unknown_tool"], "{name}");
    }
    let checked = found(FormatName::FencedPython, Opening::Unknown, "```python\n1\n```", Some(&[]));
    assert_eq!(checked, ["!unknown_tool"]);
}

#[test]
fn spans_are_those_of_whole_calls() {
    let check = |format: FormatName, text: &str, expect: &[&str]| {
        let found = format.build().examine(text);
        let spans: Vec<&str> = found.iter().map(|found| &text[found.span()]).collect();
        assert_eq!(spans, expect, "{format}: {text}");
    };
    check(
        FormatName::Hermes,
        "é<think><tool_call>{}</tool_call></think> <tool_call>{}</tool_call>.",
        &["<tool_call>{}</tool_call>"],
    );
    check(
        FormatName::Llama3Json,
        "a\n{\"name\":\"f\",\"parameters\":{}};",
        &["{\"name\":\"f\",\"parameters\":{}}"],
    );
    check(FormatName::Llama3Json, "<|python_tag|>x = 1\n<|eom_id|>", &["<|python_tag|>x = 1\n"]);
    check(FormatName::FencedPython, "- ```py\n  x\n  ```\n", &["```py\n  x\n  ```"]);
    let two = "<tool_call>\n<function=a></function>\n<function=b></function>\n</tool_call>";
    check(
        FormatName::QwenXml,
        two,
        &["<tool_call>\n<function=a></function>", "<function=b></function>\n</tool_call>"],
    );
    let report = ParseReport::new(&*FormatName::Hermes.build(), "<think><tool_call>", None);
    assert!(report.complete && report.calls.is_empty(), "a thought that is cut off is no call that is");
    let report = ParseReport::new(
        &*FormatName::Hermes.build(),
        "<tool_call> in prose <tool_call>{}</tool_call>",
        None,
    );
    assert!(report.complete && report.calls.len() == 2, "the text doesn't end inside the first");
}
