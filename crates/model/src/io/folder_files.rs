//! Files of a base folder that belong to a model trained from it.

use std::path::Path;

use crate::error::ModelError;

/// Every published form of the tokenizer, the chat template, and the settings of generation.
const NAMES: [&str; 14] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];

/// Beginnings of the names of licences and notices, in any case and with any ending.
const LEGAL: [&str; 6] = ["LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY", "USE-POLICY"];

/// Folder of further chat templates, a file each.
const TEMPLATES: &str = "additional_chat_templates";

/// Returns whether a file is copied. Weights, code, optimizer states and unknown files aren't.
fn belongs(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    NAMES.contains(&name) || LEGAL.iter().any(|start| upper.starts_with(start))
}

/// Copies the files that belong to every model trained from `base`.
pub(crate) fn copy(base: &Path, folder: &Path) -> Result<(), ModelError> {
    copy_some(base, folder, belongs)?;
    let (from, to) = (base.join(TEMPLATES), folder.join(TEMPLATES));
    if from.is_dir() {
        std::fs::create_dir_all(&to).map_err(|source| ModelError::Write { path: to.clone(), source })?;
        copy_some(&from, &to, |name| Path::new(name).extension().is_some_and(|kind| kind == "jinja"))?;
    }
    Ok(())
}

fn copy_some(base: &Path, folder: &Path, wanted: fn(&str) -> bool) -> Result<(), ModelError> {
    let unreadable = |source| ModelError::Read { path: base.into(), source };
    for entry in std::fs::read_dir(base).map_err(unreadable)? {
        let from = entry.map_err(unreadable)?.path();
        let Some(name) = from.file_name().and_then(|name| name.to_str()) else { continue };
        if from.is_file() && wanted(name) {
            let path = folder.join(name);
            std::fs::copy(&from, &path).map_err(|source| ModelError::Write { path: path.clone(), source })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_text_and_what_the_licence_demands_goes_along_and_nothing_else() {
        let (base, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = [
            "LICENSE",
            "LICENSE.txt",
            "Notice",
            "USE_POLICY.md",
            "added_tokens.json",
            "chat_template.jinja",
            "generation_config.json",
            "merges.txt",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer.model",
            "tokenizer_config.json",
            "vocab.json",
        ];
        let left = [
            "README.md",
            "adapter_config.json",
            "adapter_model.safetensors",
            "config.json",
            "consolidated.00.pth",
            "flax_model.msgpack",
            "model-00001-of-00002.safetensors",
            "model.fp16.safetensors",
            "model.gguf",
            "model.onnx",
            "model.safetensors.index.json",
            "modeling_llama.py",
            "optimizer.pt",
            "pytorch_model-00001-of-00002.bin",
            "rng_state.pth",
            "scheduler.pt",
            "state.json",
            "tf_model.h5",
            "trainer_state.json",
            "training_args.bin",
        ];
        for name in kept.iter().chain(&left) {
            std::fs::write(base.path().join(name), "x").unwrap();
        }
        let more = base.path().join(TEMPLATES);
        std::fs::create_dir_all(&more).unwrap();
        std::fs::create_dir_all(base.path().join("original")).unwrap();
        for name in ["rag.jinja", "model.bin"] {
            std::fs::write(more.join(name), "x").unwrap();
        }
        copy(base.path(), folder.path()).unwrap();
        let list = |folder: &Path| {
            let entries = std::fs::read_dir(folder).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let mut expect = [&kept[..], &[TEMPLATES]].concat();
        expect.sort_unstable();
        assert_eq!(list(folder.path()), expect);
        assert_eq!(list(&folder.path().join(TEMPLATES)), ["rag.jinja"]);
    }
}
