use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;

/// A tensor on disk.
type Stored<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

fn store(path: &Path, tensors: &[Stored<'_>]) {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), bytes).expect("bytes fill the shape"))
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Makes two shards, with a tensor of every readable element type.
fn sharded() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let brain = [1.5_f32, -2.0].iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
    let half = [0.25_f32, 65504.0].iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
    let whole = ("whole", Dtype::F32, &[2, 1][..], floats(&[0.1, -0.2]));
    store(&folder.path().join("a.safetensors"), &[whole, ("brain", Dtype::BF16, &[2][..], brain)]);
    store(&folder.path().join("b.safetensors"), &[("half", Dtype::F16, &[1, 2][..], half)]);
    let (a, b) = ("a.safetensors", "b.safetensors");
    index(&folder, &[("whole", a), ("brain", a), ("half", b)]);
    folder
}

fn index(folder: &tempfile::TempDir, map: &[(&str, &str)]) {
    let map: BTreeMap<_, _> = map.iter().copied().collect();
    let text = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
    std::fs::write(folder.path().join("model.safetensors.index.json"), text).unwrap();
}

#[test]
fn shards_are_read_in_every_element_type() {
    let folder = sharded();
    let mut files = WeightFiles::open(folder.path(), None).unwrap();
    let mut check = |name: &str, shape: &[usize], expect: [f32; 2]| {
        assert_eq!(files.values(name, shape, Init::Constant(0.0)).unwrap(), expect, "{name}");
    };
    check("whole", &[2, 1], [0.1, -0.2]);
    check("brain", &[2], [1.5, -2.0]);
    check("half", &[1, 2], [0.25, 65504.0]);
    files.finish(&[]).unwrap();
}

#[test]
fn tensors_that_do_not_fit_are_named_with_their_shard() {
    let folder = sharded();
    let refused = |name: &str, shape: &[usize], message: &str| {
        let mut files = WeightFiles::open(folder.path(), None).unwrap();
        let error = files.values(name, shape, Init::Constant(0.0)).unwrap_err().to_string();
        assert!(error.ends_with(message), "{error}");
    };
    refused("other", &[3], "tensor other of shape [3] is missing");
    refused("half", &[2], "b.safetensors: tensor half has shape [1, 2], config.json asks for [2]");
    let surplus = WeightFiles::open(folder.path(), None).unwrap().finish(&["whole", "brain"]).unwrap_err();
    let message = "b.safetensors: tensor half has no place in the model that config.json describes";
    assert!(surplus.to_string().ends_with(message), "{surplus}");
    let integers = ("whole", Dtype::I64, &[1][..], vec![0; 8]);
    store(&folder.path().join("a.safetensors"), &[integers]);
    refused(
        "whole",
        &[1],
        "element type I64 is not supported (only F32, BF16, F16; quantized weights have to be dequantized first)",
    );
}

#[test]
fn an_index_that_lies_is_refused() {
    let check = |map: &[(&str, &str)], message: &str| {
        let folder = sharded();
        index(&folder, map);
        std::fs::copy(folder.path().join("a.safetensors"), folder.path().join("c.safetensors")).unwrap();
        let error = WeightFiles::open(folder.path(), None).err().expect("a refusal").to_string();
        assert!(error.contains(message), "{error}");
    };
    check(&[], "model.safetensors.index.json: names no shard");
    for name in ["../a.safetensors", "/etc/passwd", "", "."] {
        check(&[("whole", name)], "is not a plain file name");
    }
    check(&[("whole", "d.safetensors")], "d.safetensors");
    check(&[("whole", "a.safetensors"), ("brain", "c.safetensors")], "is in another shard too");
}

/// Makes a folder of files with one tensor each, `weight`, of this value; an index names the shard.
fn several(files: &[(&str, f32)], shard: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in files {
        store(&folder.path().join(name), &[("weight", Dtype::F32, &[1], floats(&[*value]))]);
    }
    if let Some(shard) = shard {
        index(&folder, &[("weight", shard)]);
    }
    folder
}

#[test]
fn of_several_files_the_one_is_taken_that_transformers_takes() {
    let (single, shard) = ("model.safetensors", "model-00001-of-00001.safetensors");
    let check =
        |files: &[(&str, f32)], shard: Option<&str>, named: Option<&str>, expect: Result<f32, &str>| {
            let folder = several(files, shard);
            let opened = WeightFiles::open(folder.path(), named);
            let found = opened.and_then(|mut files| files.values("weight", &[1], Init::Constant(0.0)));
            match (found, expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, [expect], "{files:?}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                other => panic!("{files:?}: {other:?}"),
            }
        };
    check(&[(single, 1.0)], None, None, Ok(1.0));
    check(&[(shard, 2.0)], Some(shard), None, Ok(2.0));
    check(&[(single, 1.0), (shard, 2.0)], Some(shard), None, Ok(1.0));
    // An index without its shards.
    check(&[(single, 1.0)], Some(shard), None, Ok(1.0));
    check(&[], Some(shard), None, Err(shard));
    let others = ["adapter_model.safetensors", "consolidated.safetensors", "model.fp16.safetensors"];
    check(&[(others[0], 3.0), (others[1], 4.0), (others[2], 5.0), (single, 1.0)], None, None, Ok(1.0));
    check(&[(others[1], 4.0)], None, None, Err("model.safetensors"));
    check(&[(single, 1.0), ("other.safetensors", 6.0)], None, Some("other.safetensors"), Ok(6.0));
    check(&[(single, 1.0)], None, Some("gone.safetensors"), Err("gone.safetensors"));
    check(&[(single, 1.0)], None, Some("../model.safetensors"), Err("is not a plain file name"));
    let index = "model.safetensors.index.json";
    check(&[(single, 1.0), (shard, 2.0)], Some(shard), Some(index), Ok(2.0));
}

#[test]
fn adapters_and_weights_of_other_kinds_are_named() {
    let check = |file: &str, with: &[(&str, f32)], part: &str| {
        let folder = several(with, None);
        std::fs::write(folder.path().join(file), "{}").unwrap();
        let error = WeightFiles::open(folder.path(), None).err().expect("a refusal").to_string();
        assert!(error.contains(file) && error.contains(part), "{error}");
    };
    let adapter = ("adapter_model.safetensors", 1.0);
    check("adapter_config.json", &[adapter], "the folder holds an adapter, not a model");
    check("adapter_config.json", &[adapter, ("model.safetensors", 1.0)], "an adapter beside a model");
    check("pytorch_model.bin", &[], "save them as safetensors");
    check("pytorch_model.bin.index.json", &[], "save them as safetensors");
}

#[test]
fn other_prefixes_are_named() {
    let check = |names: &[&str], wanted: &str, part: &str| {
        let folder = tempfile::tempdir().unwrap();
        let tensors: Vec<Stored<'_>> =
            names.iter().map(|name| (*name, Dtype::F32, &[1][..], floats(&[1.0]))).collect();
        store(&folder.path().join("model.safetensors"), &tensors);
        let mut files = WeightFiles::open(folder.path(), None).unwrap();
        let error = files.values(wanted, &[1], Init::Constant(0.0)).unwrap_err().to_string();
        assert!(error.contains(&format!("tensor {wanted} of shape [1] is missing")), "{error}");
        assert!(error.ends_with(part) && error.lines().count() <= 2, "{error}");
    };
    let embedding = "model.embed_tokens.weight";
    let nested = ["model.language_model.embed_tokens.weight", "model.language_model.norm.weight"];
    check(&nested, embedding, "the prefix is \"model.language_model.\", not \"model.\"");
    check(&["lm_head.weight", "embed_tokens.weight"], embedding, "the prefix is \"\", not \"model.\"");
    check(&["language_model.lm_head.weight"], "lm_head.weight", "is \"language_model.\", not \"\"");
    check(
        &["transformer.h.0.ln_1.weight", "transformer.wte.weight"],
        embedding,
        "with \"transformer.\", not with \"model.\"",
    );
    check(&["model.norm.weight"], "lm_head.weight", "if the output matrix is the embedding");
    check(&["model.layers.0.self_attn.q_norm.weight"], "model.norm.weight", "is missing");
}

#[test]
fn a_tied_matrix_is_read_under_either_name_and_never_in_two_versions() {
    let tied = |tensors: &[(&str, f32)]| {
        let folder = tempfile::tempdir().unwrap();
        let tensors: Vec<Stored<'_>> =
            tensors.iter().map(|(name, value)| (*name, Dtype::F32, &[1][..], floats(&[*value]))).collect();
        store(&folder.path().join("model.safetensors"), &tensors);
        let mut files = WeightFiles::open(folder.path(), None).unwrap();
        files.tie()?;
        let values = files.values(EMBEDDING, &[1], Init::Constant(0.0));
        files.finish(&[OUTPUT])?;
        values
    };
    assert_eq!(tied(&[(EMBEDDING, 1.0)]).unwrap(), [1.0]);
    assert_eq!(tied(&[(OUTPUT, 1.0)]).unwrap(), [1.0]);
    assert_eq!(tied(&[(EMBEDDING, 1.0), (OUTPUT, 1.0)]).unwrap(), [1.0]);
    let error = tied(&[(EMBEDDING, 1.0), (OUTPUT, 2.0)]).unwrap_err().to_string();
    assert!(error.contains("differ, and config.json ties them\n  hint: "), "{error}");
}

#[test]
fn what_is_no_file_or_too_large_for_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("model.safetensors")).unwrap();
    let error = WeightFiles::open(folder.path(), None).err().expect("a refusal").to_string();
    assert!(error.contains("not a regular file"), "{error}");
    // A right header over a hole.
    let path = folder.path().join("x.safetensors");
    let bytes = 1_u64 << 42;
    let header = format!(r#"{{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{bytes}]}}}}"#, bytes / 4);
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(8 + header.len() as u64 + bytes).unwrap();
    let files = WeightFiles::of(vec![path]).unwrap();
    for together in [true, false] {
        let error = files.check_memory(together).unwrap_err().to_string();
        assert!(error.contains("weights of 4096.0 GiB in f32"), "{error}");
    }
}
