//! Guesses what a file is that is not GGUF, so that the message helps.

/// What `bytes` look like, as the rest of a sentence that begins "not a GGUF file but".
pub(super) fn like(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(512)];
    let text = head.trim_ascii_start();
    if bytes.is_empty() {
        return "empty";
    }
    if head.starts_with(b"version https://git-lfs") {
        return "a git-lfs pointer\nhint: fetch the file itself with `git lfs pull`";
    }
    if starts_with_any_case(text, &["<!doctype html", "<html", "<head"]) {
        return "a web page, perhaps the error page of a failed download";
    }
    if [&b"ggml"[..], b"ggjt", b"ggla", b"lmgg", b"tjgg", b"algg", b"fmgg"].iter().any(|magic| head.starts_with(magic))
    {
        return "a model in the old GGML format\nhint: look for the model as GGUF";
    }
    if is_safetensors(head) {
        return "safetensors\nhint: give the folder that also has its config.json and tokenizer.json";
    }
    if head.starts_with(b"PK\x03\x04") {
        return "a zip archive, perhaps a PyTorch checkpoint\nhint: look for the model as GGUF or safetensors";
    }
    if head.starts_with(b"\x80") && matches!(head.get(1), Some(2..=5)) {
        return "a Python pickle, perhaps a PyTorch checkpoint\nhint: look for the model as GGUF or safetensors";
    }
    if head.starts_with(b"\x1f\x8b") || head.starts_with(b"\x28\xb5\x2f\xfd") {
        return "a compressed file\nhint: unpack it first";
    }
    if text.starts_with(b"{") || text.starts_with(b"[") {
        return "JSON";
    }
    if head.iter().all(|&byte| byte == 0) {
        return "zeros, perhaps an unfinished download";
    }
    if is_text(head) { "text" } else { "something else" }
}

fn starts_with_any_case(text: &[u8], starts: &[&str]) -> bool {
    starts.iter().any(|start| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes())))
}

/// Eight bytes with the length of a JSON object, then that.
fn is_safetensors(head: &[u8]) -> bool {
    head.get(6..10).is_some_and(|middle| middle[..2] == [0, 0] && middle[2] == b'{' && matches!(middle[3], b'"' | b'}'))
}

fn is_text(head: &[u8]) -> bool {
    // The cut may split the last character.
    let valid = match str::from_utf8(head) {
        Ok(_) => head,
        Err(error) if error.error_len().is_none() => &head[..error.valid_up_to()],
        Err(_) => return false,
    };
    valid.iter().all(|&byte| byte >= b' ' || byte.is_ascii_whitespace() || byte == 0x1b)
}
