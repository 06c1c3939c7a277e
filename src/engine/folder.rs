//! What stands beside safetensors: tokenizer, chat template and recommended sampling.

use super::{OpenError, Pooling};
use crate::{TokenId, model::ModelError, sampling::SamplingParams, text::Tokenizer};
use serde_json::Value;
use std::path::Path;

/// The tokenizer of a folder, with the ends that its configuration files name.
pub(super) fn tokenizer(folder: &Path) -> Result<Tokenizer, OpenError> {
    let id = |value: &Value| value.as_u64().and_then(|id| TokenId::try_from(id).ok());
    let (mut bos, mut ends) = (None, Vec::new());
    for name in ["generation_config.json", "config.json"] {
        let Some(config) = read_json(folder, name)? else { continue };
        bos = bos.or_else(|| id(&config["bos_token_id"]));
        match &config["eos_token_id"] {
            Value::Array(ids) => ends.extend(ids.iter().filter_map(id)),
            one => ends.extend(id(one)),
        }
    }
    Ok(Tokenizer::from_file(&folder.join("tokenizer.json"), bos, &ends)?)
}

/// The chat template of a folder: a file of its own, else a field of the tokenizer's configuration.
pub(super) fn template(folder: &Path) -> Result<Option<String>, OpenError> {
    if let Ok(text) = std::fs::read_to_string(folder.join("chat_template.jinja")) {
        return Ok(Some(text));
    }
    let config = read_json(folder, "tokenizer_config.json")?.unwrap_or_default();
    Ok(match &config["chat_template"] {
        Value::String(text) => Some(text.clone()),
        // Several templates by name; chat uses the default one.
        Value::Array(all) => {
            let default = all.iter().find(|entry| entry["name"] == "default");
            default.and_then(|entry| entry["template"].as_str()).map(str::to_owned)
        }
        _ => None,
    })
}

/// The sampling in generation_config.json over `defaults`.
pub(super) fn sampling(folder: &Path, defaults: SamplingParams) -> Result<SamplingParams, OpenError> {
    let config = read_json(folder, "generation_config.json")?.unwrap_or_default();
    let float = |key: &str, default: f32| config[key].as_f64().map_or(default, |value| value as f32);
    let temperature = match config["do_sample"].as_bool() {
        Some(false) => 0.0,
        _ => float("temperature", defaults.temperature),
    };
    Ok(SamplingParams {
        temperature,
        top_k: config["top_k"].as_u64().map_or(defaults.top_k, |k| usize::try_from(k).unwrap_or(usize::MAX)),
        top_p: float("top_p", defaults.top_p),
        min_p: float("min_p", defaults.min_p),
        repeat_penalty: float("repetition_penalty", defaults.repeat_penalty),
        ..defaults
    })
}

/// How sentence-transformers makes vectors with the model; `None` if it is not set up for that.
pub(super) fn pooling(folder: &Path) -> Result<Option<Pooling>, OpenError> {
    let config = read_json(folder, "1_Pooling/config.json")?.unwrap_or_default();
    let is_on = |mode: &str| config[mode].as_bool() == Some(true);
    Ok(match () {
        () if is_on("pooling_mode_mean_tokens") => Some(Pooling::Mean),
        () if is_on("pooling_mode_lasttoken") => Some(Pooling::Last),
        () => None,
    })
}

/// The JSON file `name`; `None` if there is none.
fn read_json(folder: &Path, name: &str) -> Result<Option<Value>, OpenError> {
    let path = folder.join(name);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ModelError::Io { path, error }.into()),
    };
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(ModelError::Damaged { path, reason: error.to_string() }.into()),
    }
}
