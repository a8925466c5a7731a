//! Holds how calls are read that are cut off, lack a tag or have another form.
//!
//! Each is a call or a violation. Prose and JSON answers are neither.

mod reading;

use reading::{NONE, check, found};
use serde_json::json;
use turnwise_tools::FormatName;
use turnwise_tools::format::Opening;

#[test]
fn a_value_without_a_closing_tag_takes_no_other_value() {
    let qwen = |text: &str, expect: &[&str]| check(FormatName::QwenXml, text, expect);
    let block = |body: &str| format!("<tool_call>\n<function=f>\n{body}\n</function>\n</tool_call>");
    qwen(&block("<parameter=q>\na\n<parameter=limit>\n3\n</parameter>"), &[r#"f {"q":"a","limit":3}"#]);
    qwen(
        &block("<parameter=q>\na\n  <parameter=b>\nc\n<parameter=limit>\n3\n</parameter>"),
        &[r#"f {"q":"a","b":"c","limit":3}"#],
    );
    // In the middle of a line nothing tells a missing tag from a quoted one.
    qwen(&block("<parameter=q>a<parameter=limit>3</parameter>"), &["!invalid_json"]);
    // A value that quotes a whole parameter, or no key.
    let x = "<parameter=a>\n1\n</parameter> and <parameter=(.*)> and <parameter=";
    qwen(&block(&format!("<parameter=x>\n{x}\n</parameter>")), &[&format!("f {}", json!({"x": x}))]);
    let glm = |text: &str, expect: &[&str]| check(FormatName::Glm45, text, expect);
    let argument = |key: &str, value: &str| format!("<arg_key>{key}</arg_key>\n<arg_value>{value}\n");
    let good = format!("{}</arg_value>\n", argument("b", "2").trim_end());
    glm(&format!("<tool_call>f\n{}{good}</tool_call>", argument("a", "1")), &["!invalid_json"]);
    glm(&format!("<tool_call>f\n{good}</tool_call>"), &[r#"f {"b":2}"#]);
}

#[test]
fn a_function_without_its_end_is_named() {
    let message = |text: &str| {
        let calls = FormatName::QwenXml.build().parse(text);
        calls.into_iter().find_map(Result::err).expect("a violation").message
    };
    let f = "<function=f>\n<parameter=x>\n1\n</parameter>\n";
    assert_eq!(message(&format!("<tool_call>\n{f}</tool_call>")), "there's no </function>");
    assert_eq!(message(&format!("<tool_call>\n{f}{f}</function>\n</tool_call>")), "there's no </function>");
    let open = "<tool_call>\n<function=f>\n<parameter=x>\n1\n</function>\n</tool_call>";
    assert_eq!(message(open), "a parameter is never closed with </parameter>");
}

#[test]
fn a_list_that_is_cut_off_is_one_violation() {
    use FormatName::{
        Gemma3, Granite, Hermes, Lfm2, Llama3Json, Mistral, Olmo3, Phi4Mini, Pythonic, QwenXml,
    };
    let json = r#"[{"name": "f", "arguments": {"x": [1]}}, {"name": "g", "arguments": {"y": "a"}}]"#;
    let python = "[f(x=[1]), g(y='a')]";
    let xml = "<function=f></function>\n<function=g>\n<parameter=y>\na\n</parameter>\n</function>";
    for (format, open, list, close) in [
        (Hermes, "<tool_call>", json, "</tool_call>"),
        (QwenXml, "<tool_call>", xml, "</tool_call>"),
        (Llama3Json, "", json, ""),
        (Llama3Json, "<|python_tag|>", json, ""),
        (Pythonic, "", python, ""),
        (Mistral, "[TOOL_CALLS] ", json, ""),
        (FormatName::MistralArgs, "[TOOL_CALLS]", json, ""),
        (Gemma3, "", python, ""),
        (Gemma3, "```tool_code\n", python, "\n```"),
        (Lfm2, "<|tool_call_start|>", python, "<|tool_call_end|>"),
        (Olmo3, "<function_calls>\n", python, "\n</function_calls>"),
        (Granite, "<|tool_call|>", json, ""),
        (Phi4Mini, "<|tool_call|>", json, "<|/tool_call|>"),
        (Phi4Mini, "functools", json, ""),
    ] {
        for list in [list.to_string(), list.replace(", {", ",\n  {").replace("[{", "[\n  {")] {
            let whole = format!("{open}{list}{close}");
            let calls = found(format, Opening::Unknown, &whole, None);
            assert!(calls.len() == 2 && calls[0].starts_with("f "), "{format}: {whole}: {calls:?}");
            let from = open.len() + list.find(['}', ')', '/']).expect("a first call");
            for end in from..whole.len() {
                let text = &whole[..end];
                check(format, text, &["!unterminated"]);
                let span = format.build().examine(text)[0].span();
                assert_eq!(span, 0..end, "{format}: {text}");
            }
        }
    }
}

#[test]
fn an_end_token_of_glm_forges_nothing() {
    let glm45 = "<tool_call>f\n</tool_call>";
    for (format, call) in [(FormatName::Glm4, "f\n{}"), (FormatName::Glm45, glm45)] {
        check(format, &format!("{call}<|observation|>"), &["f {}"]);
        check(format, &format!("{call}\n<|observation|>\n"), &["f {}"]);
        check(format, &format!("{call}<|observation|>\n4"), &["f {}", "!forged_observation"]);
        check(format, "I wait.<|observation|>", &["!forged_observation"]);
    }
}

#[test]
fn a_closing_fence_has_no_info_string() {
    let text = "```python\na = 1\n```text\nb = 2\n```\n";
    check(FormatName::FencedPython, text, &[r#"python {"code":"a = 1\n```text\nb = 2"}"#]);
    check(FormatName::FencedPython, "```python\na = 1\n```text", &["!unterminated"]);
}

#[test]
fn a_call_in_another_form_does_not_vanish() {
    use FormatName::{
        DeepSeek, Gemma3, Glm4, Granite, Hermes, KimiK2, Llama3Json, Mistral, Phi4Mini, Pythonic,
    };
    let f = r#"f {"x":1}"#;
    let (arguments, parameters) =
        (r#"{"name": "f", "arguments": {"x": 1}}"#, r#"{"name": "f", "parameters": {"x": 1}}"#);
    let openai = format!(r#"{{"type": "function", "function": {arguments}}}"#);
    check(Gemma3, &format!("[{parameters}]"), &[f]);
    check(Gemma3, &format!("```json\n[{parameters}, {parameters}]\n```"), &[f, f]);
    check(Gemma3, &format!("```json\n[\n  {parameters}\n]\n```"), &[f]);
    check(Gemma3, r#"[{"name": "Ada", "age": 36}]"#, NONE);
    check(Gemma3, &format!("[{parameters}, {{\"name\": \"g"), &["!unterminated"]);
    for between in ["\n\n", "", "\n```json\n", "\n```\n", "\n\n```json\n"] {
        check(Glm4, &format!("f{between}{{\"x\": 1}}"), &[f]);
    }
    for answer in ["The set{\"x\": 1}", "a f{\"x\": 1}", "f {\"x\": 1}", "```json\n{\"x\": 1}\n```"] {
        check(Glm4, answer, NONE);
    }
    check(Llama3Json, "{'name': 'f', 'parameters': {'x': 1}}", &["!invalid_json"]);
    check(Llama3Json, "[{'name': 'f', 'parameters': {'x': 1}}]", &["!invalid_json"]);
    check(Llama3Json, "{'name': 'f', 'parameters': {'x': y}}", &["!invalid_json"]);
    check(Llama3Json, "{'name': 'Ada', 'age': 36}", NONE);
    check(Llama3Json, &format!(r#"{{"tool_calls": [{arguments}]}}"#), &["!invalid_json"]);
    check(Llama3Json, &format!(r#"{{"tool_calls": [{openai}]}}"#), &["!invalid_json"]);
    check(Llama3Json, r#"{"tool_calls": 3}"#, NONE);
    check(Pythonic, r#"<function=f>{"x": 1}</function>"#, &[f]);
    for format in [Hermes, Granite] {
        for (open, close) in [("<tools>", "</tools>"), ("<function_call>", "</function_call>")] {
            check(format, &format!("{open}{arguments}{close}"), &["!invalid_json"]);
            check(format, &format!("The {open} tag, and {open}{{}}{close}"), NONE);
        }
        check(format, &format!("<function_call> {arguments}"), &["!invalid_json"]);
        check(format, r#"<tools>{"name": "Ada"}</tools>"#, NONE);
    }
    check(Phi4Mini, &format!("functools [{arguments}]"), &[f]);
    check(Phi4Mini, &format!("[{openai}]"), &["!invalid_json"]);
    check(Phi4Mini, r#"[{"type": "point", "x": 1}]"#, NONE);
    check(Phi4Mini, "Of functools [x] it holds.", NONE);
    check(Mistral, r#"[TOOL_CALLS]f[ARGS]{"x": 1}, {"x": 2}"#, &[f, "!invalid_json"]);
    check(Mistral, r#"[TOOL_CALLS]f[ARGS]{"x": 1}, and {"x": 2}"#, &[f]);
    let marked = |bar: char| {
        let text = "<|tool▁calls▁begin|><|tool▁call▁begin|>function<|tool▁sep|>f\n```json\n{\"x\": 1}\n```\
                    <|tool▁call▁end|><|tool▁calls▁end|>";
        text.replace('|', &bar.to_string())
    };
    check(DeepSeek, &marked('｜'), &[f]);
    check(DeepSeek, &marked('|'), &["!invalid_json"]);
    for (format, open, close) in [
        (DeepSeek, "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
        (KimiK2, "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    ] {
        check(format, &format!("{open}{close}"), &["!empty"]);
        check(format, &format!("{open}I call f.{close}"), &["!empty"]);
        check(format, &format!("It begins with {open} and so on."), NONE);
        check(format, &format!("{open} thus.</think>\nIt is 4."), NONE);
    }
}

#[test]
fn calls_of_a_later_version_are_violations_with_and_without_their_list() {
    for bar in ['｜', '|'] {
        let dsml = |text: &str, expect: &[&str]| {
            check(FormatName::DeepSeek, &text.replace('D', &format!("{bar}DSML{bar}")), expect);
        };
        let invoke =
            "<Dinvoke name=\"f\">\n<Dparameter name=\"x\" string=\"true\">1</Dparameter>\n</Dinvoke>";
        for list in ["function_calls", "tool_calls"] {
            dsml(&format!("<D{list}>\n{invoke}\n{invoke}\n</D{list}>"), &["!invalid_json"]);
            dsml(&format!("<D{list}>\n{invoke}"), &["!unterminated"]);
        }
        // Without the list around it.
        dsml(invoke, &["!invalid_json"]);
        dsml(&format!("I look.\n\n{invoke}\n{invoke}"), &["!invalid_json", "!invalid_json"]);
        dsml("<Dinvoke name=\"f\">\n<Dparameter", &["!unterminated"]);
        dsml(&format!("<think>{invoke}</think>It is 4."), NONE);
        dsml("A <Dinvoke> tag has a name.", NONE);
    }
}

#[test]
fn a_call_inside_another_object_says_where_it_belongs() {
    let text = r#"<tool_call>{"type": "function", "function": {"name": "f", "arguments": {}}}</tool_call>"#;
    let found = FormatName::Hermes.build().examine(text).remove(0);
    let message = found.verdict.unwrap_err().message;
    assert_eq!(message, "\"name\" is not at the top of the object, but inside \"function\"");
    assert_eq!(found.recovered.expect("the call that was meant").name, "f");
}

#[test]
fn an_answer_that_is_nothing_but_a_call_does_not_vanish() {
    use FormatName::{Gemma3, Harmony, Pythonic};
    for format in [Pythonic, Gemma3] {
        for call in
            ["search(q='a')", "search(\n  q='a',\n  limit=3,\n)", "f(x=1)\ng(y=2)\n", "a.b-c(x=[1, 'f(']);"]
        {
            check(format, call, &["!invalid_json"]);
            check(format, &format!("Hm.\n</think>\n\n{call}"), &["!invalid_json"]);
            check(format, &format!("<think>\n{call}"), NONE);
            check(format, &format!("It is {call}"), NONE);
            check(format, &format!("{call}\nfinds it."), NONE);
        }
        for answer in ["f(x)", "f()", "now() + f(x=1)", "f(x=y)", "", "(x=1)", "f(x=1) = 2", "f(x=1"] {
            check(format, answer, NONE);
        }
        let recovered = format.build().examine("search(q='a')").remove(0).recovered;
        assert_eq!(recovered.expect("the call that was meant").name, "search");
        let mut lexer = format.build().lexer();
        lexer.push(b"search(q='a'");
        assert_eq!(lexer.settled(), 0);
        lexer.push(b") it is");
        lexer.finish();
        let mut lexer = format.build().lexer();
        lexer.push(b"So it");
        assert_eq!(lexer.settled(), 5, "prose isn't held back");
    }
    check(Pythonic, "search(q='a')<|eom_id|>", &["!invalid_json"]);
    check(Harmony, "commentary to=functions.f json{\"x\": 1}", &["!invalid_json"]);
    check(Harmony, "analysis to=functions.f code {\"x\": 1}", &["!invalid_json"]);
    check(Harmony, "One writes commentary to=functions.f json{\"x\": 1}", NONE);
    check(Harmony, "commentary to=functions.f is a header.", NONE);
}
