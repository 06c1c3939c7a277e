//! A folder of safetensors files, read under the tensor names of GGUF.

use super::ModelError;
use crate::tensor::{Bytes, Dtype, Tensor};
use ::safetensors::{Dtype as Stored, SafeTensors, tensor::TensorInfo};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

/// The tensors of a folder with `*.safetensors`, mapped.
#[derive(Clone, Debug)]
pub struct Safetensors {
    folder: PathBuf,
    files: Vec<(PathBuf, Bytes)>,
    /// By the name in the file.
    tensors: BTreeMap<String, (usize, TensorInfo)>,
}

/// GGUF's names of a layer's parts beside those that transformers gives them.
const PARTS: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

impl Safetensors {
    /// Maps the safetensors files of `folder`: those of its index, else all of them.
    ///
    /// # Errors
    /// [`ModelError`] when a file is missing, damaged, or there is none.
    pub fn open(folder: &Path) -> Result<Safetensors, ModelError> {
        let mut files = Vec::new();
        let mut tensors = BTreeMap::new();
        for path in file_names(folder)? {
            let bytes = File::open(&path).and_then(|file| Bytes::map(&file));
            let bytes = bytes.map_err(|error| ModelError::Io { path: path.clone(), error })?;
            let damaged = |reason: String| ModelError::Damaged { path: path.clone(), reason };
            let (header_len, header) =
                SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
            // The offsets of the header count from its own end, past the 8 bytes of its length.
            let data = bytes.slice(8 + header_len..bytes.len());
            let data = data.ok_or_else(|| damaged("the header is longer than the file".into()))?;
            for (name, info) in header.tensors() {
                if tensors.insert(name.clone(), (files.len(), info.clone())).is_some() {
                    return Err(damaged(format!("the tensor `{name}` is there twice")));
                }
            }
            files.push((path, data));
        }
        Ok(Safetensors { folder: folder.to_owned(), files, tensors })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of all tensors, as GGUF has them where it has one.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.tensors.keys().map(|name| gguf_name(name))
    }

    /// The tensor that GGUF calls `name`; `None` if it is not there.
    ///
    /// # Errors
    /// [`ModelError`] when its type is not supported or it does not lie inside its file.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Tensor>, ModelError> {
        let stored = stored_name(name);
        let Some((file, info)) = self.tensors.get(&stored) else { return Ok(None) };
        let (path, data) = &self.files[*file];
        let damaged = |reason: String| ModelError::Damaged { path: path.clone(), reason };
        let dtype = match info.dtype {
            Stored::F32 => Dtype::F32,
            Stored::F16 => Dtype::F16,
            Stored::BF16 => Dtype::BF16,
            other => {
                return Err(damaged(format!("the tensor `{stored}` is {other:?}, expected F32, F16 or BF16")));
            }
        };
        let data = data.slice(info.data_offsets.0..info.data_offsets.1);
        let data = data.ok_or_else(|| damaged(format!("the tensor `{stored}` does not lie inside the file")))?;
        let n = info.shape.iter().try_fold(1_usize, |n, &size| n.checked_mul(size));
        if n.and_then(|n| dtype.bytes_for(n)) != Some(data.len()) {
            return Err(damaged(format!("the tensor `{stored}` has not the size of its shape {:?}", info.shape)));
        }
        Ok(Some(Tensor { name: stored, dtype, shape: info.shape.clone(), data }))
    }
}

/// The safetensors files to read, in order.
fn file_names(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let index = folder.join("model.safetensors.index.json");
    if let Ok(text) = std::fs::read_to_string(&index) {
        let damaged = |reason: String| ModelError::Damaged { path: index.clone(), reason };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let map = value["weight_map"].as_object().ok_or_else(|| damaged("`weight_map` is missing".into()))?;
        let names: BTreeSet<&str> = map.values().filter_map(|name| name.as_str()).collect();
        // A name with a separator would lead out of the folder.
        return match names.iter().find(|name| name.contains(['/', '\\'])) {
            Some(name) => Err(damaged(format!("the file name `{name}` leads out of the folder"))),
            None => Ok(names.iter().map(|name| folder.join(name)).collect()),
        };
    }
    let entries = std::fs::read_dir(folder).map_err(|error| ModelError::Io { path: folder.to_owned(), error })?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    if paths.is_empty() {
        let reason = "there is no *.safetensors in this folder".into();
        return Err(ModelError::Damaged { path: folder.to_owned(), reason });
    }
    Ok(paths)
}

/// The name that transformers gives to what GGUF calls `name`.
fn stored_name(name: &str) -> String {
    match name {
        "token_embd.weight" => "model.embed_tokens.weight".into(),
        "output_norm.weight" => "model.norm.weight".into(),
        "output.weight" => "lm_head.weight".into(),
        _ => in_layer(name, "blk.", "model.layers.", |part, (ours, theirs)| (part == ours).then_some(theirs))
            .unwrap_or_else(|| name.to_owned()),
    }
}

/// The name that GGUF gives to what transformers calls `name`.
fn gguf_name(name: &str) -> String {
    match name {
        "model.embed_tokens.weight" => "token_embd.weight".into(),
        "model.norm.weight" => "output_norm.weight".into(),
        "lm_head.weight" => "output.weight".into(),
        _ => in_layer(name, "model.layers.", "blk.", |part, (ours, theirs)| (part == theirs).then_some(ours))
            .unwrap_or_else(|| name.to_owned()),
    }
}

/// Renames PREFIX LAYER.PART.KIND by the table; `None` for any other name.
fn in_layer(
    name: &str,
    prefix: &str,
    new_prefix: &str,
    rename: impl Fn(&str, (&'static str, &'static str)) -> Option<&'static str>,
) -> Option<String> {
    let (layer, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let part = PARTS.iter().find_map(|&row| rename(part, row))?;
    Some(format!("{new_prefix}{layer}.{part}.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_translate_both_ways() {
        for (ours, theirs) in [
            ("token_embd.weight", "model.embed_tokens.weight"),
            ("blk.7.attn_q.bias", "model.layers.7.self_attn.q_proj.bias"),
            ("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"),
            ("something.else", "something.else"),
        ] {
            assert_eq!(stored_name(ours), theirs);
            assert_eq!(gguf_name(theirs), ours);
        }
    }
}
