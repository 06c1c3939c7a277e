//! Which files of a repository a reference means.

use crate::support::hub_cache::hub;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{collection::vec, prop_assert, prop_assert_eq};
use taper::hub::{ListedFile, SelectError, Selection, quantization, select};

fn listing(names: &[&str]) -> Vec<ListedFile> {
    names.iter().map(|&name| ListedFile { name: name.into(), size_bytes: Some(1_500_000_000) }).collect()
}

/// The names that are selected, or the error.
fn selected(names: &[&str], selector: &str) -> Result<Vec<String>, String> {
    let reference = hub(&format!("o/r{selector}"));
    let selection = select(&listing(names), reference.selector()).map_err(|error| error.to_string())?;
    Ok(selection.files().iter().map(|file| file.name.clone()).collect())
}

#[test]
fn the_quantization_is_the_last_label_of_a_name() {
    for (name, expected) in [
        ("Qwen3-0.6B-Q4_K_M.gguf", Some("Q4_K_M")),
        ("llama-2-7b.Q4_0.gguf", Some("Q4_0")),
        ("model_q8_0.gguf", Some("Q8_0")),
        ("ggml-model-f16.gguf", Some("F16")),
        ("X-UD-IQ2_XXS.gguf", Some("UD-IQ2_XXS")),
        ("X.i1-IQ3_M.GGUF", Some("IQ3_M")),
        ("X-Q4_0_4_4.gguf", Some("Q4_0_4_4")),
        ("X-TQ1_0.gguf", Some("TQ1_0")),
        ("gpt-oss-20b-mxfp4.gguf", Some("MXFP4")),
        ("gpt_oss_MXFP4_MOE.gguf", Some("MXFP4_MOE")),
        ("X-BF16-00001-of-00002.gguf", Some("BF16")),
        ("Q6_K/X-00001-of-00002.gguf", Some("Q6_K")),
        ("UD-Q2_K_XL/X-UD-Q2_K_XL-00001-of-00002.gguf", Some("UD-Q2_K_XL")),
        ("model-q8.gguf", Some("Q8")),
        ("QwQ-32B.gguf", None),
        ("Q4_K_M.txt", None),
        (".gguf", None),
        ("model.gguf", None),
    ] {
        assert_eq!(quantization(name).as_deref(), expected, "{name}");
    }
}

#[test]
fn without_selector_the_preference_decides() {
    let q = ["m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-Q4_K_M.gguf", "imatrix.gguf", "README.md"];
    assert_eq!(selected(&q, "").unwrap(), ["m-Q4_K_M.gguf"]);
    assert_eq!(selected(&["m-Q2_K.gguf", "m.q8_0.gguf"], "").unwrap(), ["m.q8_0.gguf"]);
    assert_eq!(selected(&["m-Q2_K.gguf", "m.mmproj-f16.gguf", "m.imatrix.gguf"], "").unwrap(), ["m-Q2_K.gguf"]);
    let safetensors = ["config.json", "model.safetensors", "tokenizer.json", "README.md"];
    assert_eq!(selected(&safetensors, "").unwrap(), ["config.json", "tokenizer.json", "model.safetensors"]);
    let both = [&["m-Q2_K.gguf", "m-Q3_K.gguf"][..], &safetensors].concat();
    assert_eq!(selected(&both, "").unwrap().last().unwrap(), "model.safetensors");
    assert_eq!(
        selected(&["m-Q2_K.gguf", "m-Q3_K.gguf"], "").unwrap_err(),
        "has several GGUF files: `m-Q2_K.gguf` (1.5 GB), `m-Q3_K.gguf` (1.5 GB)\n\
         hint: say which, as in `owner/repo:QUANTIZATION` or `owner/repo:FILE`"
    );
    assert_eq!(
        selected(&["a.bin", "mmproj-F16.gguf"], "").unwrap_err(),
        "has neither GGUF nor safetensors files; its files: `a.bin` (1.5 GB), `mmproj-F16.gguf` (1.5 GB)"
    );
    assert_eq!(selected(&[], "").unwrap_err(), "has neither GGUF nor safetensors files; its files: none");
}

#[test]
fn a_quantization_is_found_at_a_boundary_of_the_name() {
    let names = ["m-IQ4_XS.gguf", "m-Q4_K_M.gguf", "m-UD-Q4_K_XL.gguf", "m_q5_0.gguf", "Q6_K/m.gguf", "m.Q3_K.gguf"];
    for (selector, expected) in [
        (":q4_k_m", "m-Q4_K_M.gguf"),
        (":Q4_K_XL", "m-UD-Q4_K_XL.gguf"),
        (":UD-Q4_K_XL", "m-UD-Q4_K_XL.gguf"),
        (":iq4_xs", "m-IQ4_XS.gguf"),
        (":Q5_0", "m_q5_0.gguf"),
        (":Q6_K", "Q6_K/m.gguf"),
        (":Q3_K", "m.Q3_K.gguf"),
    ] {
        assert_eq!(selected(&names, selector).unwrap(), [expected], "{selector}");
    }
    for selector in [":Q4_K", ":Q4", ":Q4_XS", ":4_K_M", ":K_XL-x"] {
        assert!(selected(&names, selector).unwrap_err().contains("has no GGUF file of quantization"), "{selector}");
    }
    let dynamic = ["m-Q4_K_XL.gguf", "m-UD-Q4_K_XL.gguf"];
    assert_eq!(selected(&dynamic, ":Q4_K_XL").unwrap(), ["m-Q4_K_XL.gguf"]);
    assert!(selected(&["a-Q8_0.gguf", "b-Q8_0.gguf"], ":q8_0").unwrap_err().starts_with("has several"));
    assert!(selected(&["a-Q8_0.gguf", "b-Q8_0.gguf"], "").unwrap_err().starts_with("has several"));
    assert_eq!(
        selected(&["m-Q8_0.gguf"], ":Q5_K_M").unwrap_err(),
        "has no GGUF file of quantization `Q5_K_M`; its GGUF files: `m-Q8_0.gguf` (1.5 GB)"
    );
}

#[test]
fn all_parts_of_a_split_model_are_selected_in_order() {
    let part = |number: usize| format!("Q8_0/m-Q8_0-{number:05}-of-00003.gguf");
    let parts = [part(3), part(1), part(2)];
    let names: Vec<&str> = parts.iter().map(String::as_str).chain(["m-Q2_K.gguf"]).collect();
    for selector in ["", ":Q8_0", ":Q8_0/m-Q8_0-00001-of-00003.gguf", ":Q8_0/m-Q8_0-00002-of-00003.gguf"] {
        assert_eq!(selected(&names, selector).unwrap(), [part(1), part(2), part(3)], "{selector}");
    }
    assert_eq!(selected(&names[1..], "").unwrap_err(), "lacks part 3 of 3 of `Q8_0/m-Q8_0-00001-of-00003.gguf`");
    let whole = ["m-Q8_0.gguf", "m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"];
    let error = selected(&whole, ":Q8_0").unwrap_err();
    assert!(error.contains("`m-Q8_0-00001-of-00002.gguf` (3.0 GB)"), "{error}");
    assert_eq!(selected(&whole, ":m-Q8_0.gguf").unwrap(), ["m-Q8_0.gguf"]);
    assert!(selected(&["m-00001-of-99999.gguf"], "").unwrap_err().len() < 200);
    assert_eq!(selected(&["m-00000-of-00002.gguf"], "").unwrap(), ["m-00000-of-00002.gguf"]);
}

#[test]
fn a_file_is_selected_by_its_exact_name() {
    let names = ["m-Q8_0.gguf", "sub/m-Q8_0.gguf", "mmproj-F16.gguf"];
    for name in names {
        assert_eq!(selected(&names, &format!(":{name}")).unwrap(), [name]);
    }
    let error = selected(&names, ":M-Q8_0.gguf").unwrap_err();
    assert!(error.starts_with("has no `M-Q8_0.gguf`; its GGUF files: `m-Q8_0.gguf`"), "{error}");
}

#[test]
fn weights_in_safetensors_come_with_what_describes_them() {
    let beside = ["config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"];
    let sharded = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let index = ["model.safetensors.index.json"];
    let others = ["consolidated.safetensors", "onnx/model.safetensors", "pytorch_model.bin", "LICENSE"];
    let names = [&beside[..], &sharded, &index, &others].concat();
    assert_eq!(selected(&names, "").unwrap(), [&beside[..], &index, &sharded].concat());
    let names = [&beside[..], &["model.safetensors"], &others].concat();
    assert_eq!(selected(&names, "").unwrap(), [&beside[..], &["model.safetensors"]].concat());
    let names = [&beside[..], &["b.safetensors", "a.safetensors"]].concat();
    assert_eq!(selected(&names, "").unwrap(), [&beside[..], &["a.safetensors", "b.safetensors"]].concat());
    let names = [&beside[..], &index, &sharded[1..]].concat();
    let error = selected(&names, "").unwrap_err();
    assert_eq!(error, "lacks part 1 of 2 of `model-00002-of-00002.safetensors`");
    let error = selected(&["config.json", "model.safetensors"], "").unwrap_err();
    assert_eq!(error, "lacks `tokenizer.json` of the model in safetensors");
}

/// Names that real repositories could have, and others.
fn file_name() -> impl Strategy<Value = String> {
    let stem = prop_oneof![
        Just("m".to_owned()),
        Just("model".into()),
        Just("Q8_0/m".into()),
        Just("mmproj".into()),
        any::<String>(),
    ];
    let label = prop_oneof![Just(""), Just("-Q4_K_M"), Just(".q8_0"), Just("-UD-Q4_K_M"), Just("_F16")];
    let part = prop_oneof![Just(""), Just("-00001-of-00002"), Just("-00002-of-00002"), Just("-00009-of-00002")];
    let end = prop_oneof![Just(".gguf"), Just(".GGUF"), Just(".safetensors"), Just(".json"), Just("")];
    (stem, label, part, end).prop_map(|(stem, label, part, end)| format!("{stem}{label}{part}{end}"))
}

proptest! {
    #[test]
    fn what_is_selected_is_listed_and_fits(
        names in vec(file_name(), 0..12),
        selector in prop_oneof![Just(""), Just(":Q4_K_M"), Just(":Q8_0"), Just(":UD-Q4_K_M"), Just(":F16")],
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let files = listing(&names);
        let reference = hub(&format!("o/r{selector}"));
        match select(&files, reference.selector()) {
            Ok(selection) => {
                prop_assert!(!selection.files().is_empty());
                prop_assert!(selection.files().iter().all(|file| files.contains(file)));
                let gguf = matches!(selection, Selection::Gguf(_));
                prop_assert!(gguf || selector.is_empty());
                for file in selection.files().iter().filter(|_| gguf) {
                    let upper = file.name.to_ascii_uppercase();
                    prop_assert!(upper.ends_with(".GGUF") && !upper.starts_with("MMPROJ"), "{upper}");
                    prop_assert!(upper.contains(selector.trim_start_matches(':')), "{upper}");
                }
            }
            Err(SelectError::Ambiguous { found, .. }) => prop_assert!(found.len() > 1),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
        // The order of a listing means nothing.
        let reversed: Vec<ListedFile> = files.iter().rev().cloned().collect();
        let names_of = |files: &[ListedFile]| {
            let mut names: Vec<String> =
                select(files, reference.selector()).map_or(Vec::new(), |it| it.files().iter().map(|f| f.name.clone()).collect());
            names.sort();
            names
        };
        prop_assert_eq!(names_of(&files), names_of(&reversed));
    }
}
