//! Describes an architecture, and reads the keys and sizes of a file.

use serde_json::{Map, Value as Json};

use crate::file::GgufFile;
use crate::metadata::Value;

/// Maps an architecture of GGUF to the family that it becomes.
#[derive(Debug)]
pub(crate) struct Architecture {
    /// Its name in a file.
    pub(crate) name: &'static str,
    /// `model_type` of the folder.
    pub(crate) family: &'static str,
    /// The class in `transformers`.
    pub(crate) class: &'static str,
    /// The norms of a layer: names in the file, and in the folder.
    pub(crate) norms: &'static [(&'static str, &'static str)],
    pub(crate) qk_norms: QkNorms,
    /// Rows of queries and keys are in llama.cpp's order.
    pub(crate) interleaved: bool,
    /// A file's norms are larger than a folder's by this.
    pub(crate) norm_offset: f32,
    /// Queries, keys and values are one matrix, and so are the two inputs of the MLP.
    pub(crate) fused: bool,
    pub(crate) mixers: Mixers,
    /// Every layer has experts instead of one MLP.
    pub(crate) experts: bool,
    /// A file's names of the norm after the layers.
    pub(crate) last_norms: &'static [&'static str],
    pub(crate) names: Names,
    /// Writes the keys that other families lack.
    pub(crate) keys: WriteKeys,
}

/// Chooses how the layers of an architecture mix tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mixers {
    Attention,
    /// Short convolutions in layers without heads of keys, else attention.
    Convolutions,
    /// Gated DeltaNets in most layers, and attention with a gate in the others.
    DeltaNets,
}

/// Holds a folder's names, in which families differ.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) last_norm: &'static str,
    pub(crate) output: &'static str,
    pub(crate) query_norm: &'static str,
    pub(crate) key_norm: &'static str,
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

/// Writes keys of a family into the object of `config.json`.
type WriteKeys = fn(&Keys<'_>, &Shape, &mut Map<String, Json>) -> Result<(), String>;

/// Places the norms on queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QkNorms {
    Nothing,
    /// On each head.
    PerHead,
    /// Over all heads together.
    FullWidth,
}

/// Holds the settings that decide the weights' shapes and layout.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) architecture: &'static Architecture,
    pub(crate) vocabulary: usize,
    pub(crate) hidden: usize,
    pub(crate) inner: usize,
    pub(crate) layers: usize,
    /// Layers after them that predict several tokens, and are left out.
    pub(crate) ahead: usize,
    pub(crate) heads: usize,
    pub(crate) key_value_heads: usize,
    /// Size of a head, even.
    pub(crate) dim: usize,
    pub(crate) attention_bias: AttentionBias,
    pub(crate) mlp_bias: bool,
    /// Layers without attention.
    pub(crate) others: Option<Others>,
    /// Experts of a layer.
    pub(crate) experts: Option<usize>,
    /// The file's name of the last norm.
    pub(crate) last_norm: &'static str,
}

/// Describes the layers without attention.
#[derive(Debug, Clone)]
pub(crate) struct Others {
    /// Whether each layer is one.
    pub(crate) layers: Vec<bool>,
    pub(crate) kind: Other,
}

/// Describes a layer without attention.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Other {
    /// A short convolution. `taps`: numbers of a kernel.
    Convolution {
        taps: usize,
    },
    DeltaNet(DeltaNet),
}

/// Holds the sizes of a gated DeltaNet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeltaNet {
    pub(crate) key_heads: usize,
    /// A multiple of `key_heads`.
    pub(crate) value_heads: usize,
    pub(crate) key_dim: usize,
    pub(crate) value_dim: usize,
    /// Numbers of a kernel.
    pub(crate) taps: usize,
}

/// Says which projections of attention have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttentionBias {
    Nothing,
    /// Queries, keys and values.
    Inputs,
    /// The output too.
    All,
}

/// Upper bound of every size of a model: products of two don't overflow.
pub(crate) const LARGEST: u64 = 1 << 24;

/// Reads keys of one architecture.
pub(crate) struct Keys<'a> {
    pub(crate) file: &'a GgufFile,
    pub(crate) architecture: &'static Architecture,
}

impl Keys<'_> {
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture.name)
    }

    pub(crate) fn size(&self, name: &str) -> Result<u64, String> {
        self.optional_size(name)?.ok_or_else(|| format!("{} is missing or 0", self.key(name)))
    }

    /// Reads a size above 0, if the key is there.
    pub(crate) fn optional_size(&self, name: &str) -> Result<Option<u64>, String> {
        let key = self.key(name);
        match self.file.metadata.size(&key)?.filter(|&size| size > 0) {
            Some(size) if size > LARGEST => Err(format!("{key} = {size} is more than {LARGEST}")),
            size => Ok(size),
        }
    }

    /// Reads integers from 0 up, if the key holds a list.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<u64>>, String> {
        let key = self.key(name);
        let Some(Value::Ints(all)) = self.file.metadata.get(&key) else { return Ok(None) };
        let size = |value: &i64| u64::try_from(*value).ok().filter(|size| *size <= LARGEST);
        let sizes: Option<Vec<u64>> = all.iter().map(size).collect();
        sizes.map(Some).ok_or_else(|| format!("{key} holds a number that is no size"))
    }

    /// Reads the heads of keys and values: one number, or one for each layer, 0 for layers without attention.
    pub(crate) fn key_value_heads(&self) -> Result<Option<u64>, String> {
        const NAME: &str = "attention.head_count_kv";
        let Some(mut all) = self.list(NAME)? else { return self.optional_size(NAME) };
        all.retain(|heads| *heads > 0 || self.architecture.mixers != Mixers::Convolutions);
        match all.split_first() {
            Some((first, rest)) if *first > 0 && rest.iter().all(|other| other == first) => Ok(Some(*first)),
            _ => Err(format!("{}: layers with different heads are not supported", self.key(NAME))),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        self.file.metadata.flag(&self.key(name))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, String> {
        self.file.metadata.number(&self.key(name))
    }

    /// Reads the base of a rotation, 10,000 if the key is absent.
    pub(crate) fn base(&self, name: &str) -> Result<f64, String> {
        match self.number(name)? {
            Some(base) if base <= 1.0 => Err(format!("{} = {base} is not above 1", self.key(name))),
            base => Ok(base.unwrap_or(10_000.0)),
        }
    }

    /// Reads the numbers of each head of `dim` that are rotated, all if the key is absent.
    pub(crate) fn rotated(&self, dim: usize) -> Result<usize, String> {
        let key = self.key("rope.dimension_count");
        match self.file.metadata.size(&key)? {
            None => Ok(dim),
            Some(part) if part > 0 && part <= dim as u64 && part.is_multiple_of(2) => Ok(part as usize),
            Some(part) => Err(format!("{key} = {part} is no part of a head of {dim}")),
        }
    }
}
