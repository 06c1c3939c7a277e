//! The import rule of the crate: imports go down only.

use std::{fs, path::Path};

/// The modules from top to bottom; those of a row do not import each other.
const LAYERS: [&[&str]; 7] = [
    &["cli"],
    &["bench", "server"],
    &["engine", "hub"],
    &["model", "sampling", "text"],
    &["backend"],
    &["gguf", "kernels"],
    &["hash", "tensor"],
];

fn rust_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules of the crate that `source` names after `crate::`, one by one or in braces.
fn imports(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in source.split("crate::").skip(1) {
        let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let Some(braced) = part.strip_prefix('{') else {
            found.push(name(part));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for c in braced.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => found.push(name(std::mem::take(&mut item).trim())),
                _ => {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    item.push(c);
                }
            }
        }
        found.push(name(item.trim()));
    }
    found
}

#[test]
fn imports_go_down_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let depth_of = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut wrong = Vec::new();
    let mut n_imports = 0;
    for (depth, layer) in LAYERS.iter().enumerate() {
        for module in *layer {
            let mut files = Vec::new();
            rust_files(&source.join(module), &mut files);
            assert!(!files.is_empty(), "{module} has no files");
            for file in files {
                for import in imports(&fs::read_to_string(&file).unwrap()) {
                    let Some(imported) = depth_of(&import) else { continue };
                    n_imports += 1;
                    if import != *module && imported <= depth {
                        wrong.push(format!("{} imports {import}", file.display()));
                    }
                }
            }
        }
    }
    assert!(n_imports > 50, "the parser finds imports");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn braces_and_paths_are_both_seen() {
    let source = "use crate::{TokenId, gguf::{Gguf, Value}, model::Source};\nlet x = crate::kernels::dequantize;";
    assert_eq!(imports(source), ["TokenId", "gguf", "model", "kernels"]);
}
