//! Chat templates as models are published with them, of the PyPI package `trl`.

use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};
use std::process::Command;

use turnwise_tools::format::FormatName;

use super::*;
use crate::chat::choice::written;
use crate::testing::tokenizer;

const PACKAGE: &str = "trl==1.16.0";

/// Tokens of the templates, as tokenizers have them.
const SPECIAL: [&str; 22] = [
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|tool_call_start|>",
    "<|tool_call_end|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
    "<|start|>",
    "<|message|>",
    "<|channel|>",
    "<|call|>",
    "<|end|>",
    "<|return|>",
    "<｜end▁of▁sentence｜>",
    "<｜tool▁call▁begin｜>",
];

/// Returns the folder of the package's templates, fetched once.
fn templates() -> Result<PathBuf, String> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let folder = tools.join("chat-templates-trl-1.16.0");
    create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(tools.join("chat-templates.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let done = folder.join("installed");
    if !done.exists() {
        let run = |command: &mut Command| match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
            Err(error) => Err(error.to_string()),
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("venv")))?;
        let pip = folder.join("venv/bin/python");
        let wheel = folder.join("wheel");
        run(Command::new(&pip)
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"])
            .arg(&wheel)
            .arg(PACKAGE))?;
        let file = std::fs::read_dir(&wheel).map_err(|error| error.to_string())?.flatten().next();
        let file = file.ok_or("no wheel came")?.path();
        run(Command::new(&pip).args(["-m", "zipfile", "-e"]).arg(file).arg(folder.join("package")))?;
        File::create(done).map_err(|error| error.to_string())?;
    }
    Ok(folder.join("package/trl/chat_templates"))
}

fn folder(path: &Path) -> ChatFolder {
    let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")];
    ChatFolder {
        template: std::fs::read_to_string(path).unwrap(),
        place: path.into(),
        tool_use: None,
        tokens: tokens.map(|(name, token)| (name.into(), token.into())).into_iter().collect(),
        ends: vec![1],
        family: String::new(),
    }
}

/// Compares for each template: its call format, and whether a run takes calls and outputs from the template
/// (`Some(true)`), writes them itself (`Some(false)`), or refuses the template.
#[test]
fn published_templates_show_their_call_format() {
    use FormatName::{DeepSeek, Gemma3, Glm45, Harmony, Hermes, Lfm2, Llama3Json, QwenXml};

    let folder_of = match templates() {
        Ok(folder) => folder,
        Err(reason) => {
            let name = "published_templates_show_their_call_format";
            assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "{name} is skipped: {reason}");
            eprintln!("skipped: {name}: {reason}");
            return;
        }
    };
    let tools = [ToolSpec::python()];
    let now = Moment::from_unix(1_735_603_199);
    for (name, format, native) in [
        ("gemma3", Gemma3, Some(false)),
        ("lfm2", Lfm2, Some(false)),
        ("lfm2_v2", Lfm2, Some(true)),
        ("lfm2_2_5", Lfm2, Some(true)),
        ("lfm2_2_5_v2", Lfm2, Some(true)),
        ("glm4moe", Glm45, None),
        ("gptoss", Harmony, None),
        ("qwen3_5_think", QwenXml, Some(true)),
        ("qwen3_5_nothink", QwenXml, Some(true)),
        ("qwen2_5", Hermes, Some(true)),
        ("qwen3", Hermes, None),
        ("qwen3_instruct_2507", Hermes, Some(true)),
        ("llama3_1", Llama3Json, Some(true)),
        ("llama3_2", Llama3Json, Some(true)),
        ("deepseekv3", DeepSeek, Some(false)),
        ("llama3", Hermes, Some(false)),
        ("phi3", Hermes, Some(false)),
    ] {
        let own = folder(&folder_of.join(format!("{name}.jinja")));
        let spelling = Arc::new(Spelling::new(tokenizer(&SPECIAL)));
        // Only LFM2's first template says nothing of calls.
        let is_token = |text: &str| text.starts_with("<|tool_call_start") && name.starts_with("lfm2");
        assert_eq!(written(&own, is_token), format, "{name}");
        let built = format.build();
        let calls = Calls { format: &*built, tools: &tools, describe: true };
        let chat = TemplateChat::over(&own, spelling, calls, now);
        let found = chat.as_ref().ok().map(ChatFormat::shows_tools);
        let why = chat.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert_eq!(found, native, "{name}: {why}");
        if native == Some(true) {
            check_turn(name, &*built, &chat.unwrap());
        }
    }
}

/// Holds that a call as the format writes it is what the template writes, and that an output stands in the
/// text that follows.
fn check_turn(name: &str, format: &dyn CallFormat, chat: &TemplateChat) {
    let arguments = serde_json::Map::from_iter([("code".to_string(), Json::from("print(6 * 7)"))]);
    let call = turnwise_trajectory::ToolCall { name: "python".into(), arguments, span: 0..0 };
    let calls = json!([{"id": "call00001", "type": "function",
        "function": {"name": call.name, "arguments": call.arguments}}]);
    let messages = [
        json!({"role": "user", "content": "?"}),
        json!({"role": "assistant", "content": "", "tool_calls": calls}),
        json!({"role": "tool", "content": "the output", "name": "python", "tool_call_id": "call00001"}),
    ];
    let conversation = Conversation {
        messages: &messages,
        tools: chat.tools.as_deref(),
        add_generation_prompt: true,
        ..Conversation::default()
    };
    let text = chat.template.render(&conversation).unwrap();
    assert!(text.contains(&format.render(&call)), "{name}: {}\n{text}", format.render(&call));
    let follows = chat.follow(&[Message::new(Role::Tool, "the output")], false).unwrap();
    let follows = chat.spelling.decode(&follows);
    assert!(text.ends_with(&follows) && follows.contains("the output"), "{name}: {follows}\n{text}");
}
