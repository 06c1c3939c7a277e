//! Which files of a repository a reference means. Pure: the same for a listing of the Hub and for the cache.

use super::error::{enumerate, quote};
use super::name::{carries, is_companion, part_of, quantization, stem};
use super::reference::Selector;
use std::{collections::BTreeMap, fmt};

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Path within the repository, with `/` between folders.
    pub name: String,
    /// `None` if the listing does not say.
    pub size_bytes: Option<u64>,
}

/// The files that make up one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The parts of a GGUF model in order; the first is the one to open.
    Gguf(Vec<ListedFile>),
    /// The weights, and the files beside them that describe the model; all at the top, so their folder is what to open.
    Safetensors(Vec<ListedFile>),
}

/// Why a listing has no files for a reference; each is the rest of a sentence that begins with the repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No GGUF file of that quantization or name.
    #[error("has no {wanted}; its GGUF files: {}", choices(.found))]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// The GGUF files that are there.
        found: Vec<ListedFile>,
    },
    /// Several models fit, and none is preferred.
    #[error("has several {wanted}: {}\nhint: say which, as in `owner/repo:QUANTIZATION` or `owner/repo:FILE`", choices(.found))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The models that fit: the first part of each with the size of all.
        found: Vec<ListedFile>,
    },
    /// Neither GGUF nor safetensors.
    #[error("has neither GGUF nor safetensors files; its files: {}", choices(.found))]
    NoModel {
        /// What is there.
        found: Vec<ListedFile>,
    },
    /// Files without which the others are no model.
    #[error("lacks {missing} of {of}")]
    Lacks {
        /// The missing files or parts, as text.
        missing: String,
        /// The model, in backticks.
        of: String,
    },
}

/// Quantizations that a reference without selector prefers, the best first.
const PREFERRED: [&str; 2] = ["Q4_K_M", "Q8_0"];
/// What a model in safetensors has to have beside its weights.
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
/// What it may have.
pub(super) const OPTIONAL: [&str; 6] = [
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    INDEX,
    "special_tokens_map.json",
    "tokenizer_config.json",
];
const INDEX: &str = "model.safetensors.index.json";

impl Selection {
    /// All files of the model.
    pub fn files(&self) -> &[ListedFile] {
        match self {
            Selection::Gguf(files) | Selection::Safetensors(files) => files,
        }
    }
}

/// A GGUF or safetensors model in one file or several.
struct Candidate<'a> {
    /// By their number, from 1.
    parts: BTreeMap<usize, &'a ListedFile>,
    n_parts: usize,
}

/// The files that `selector` means among `files`; without it Q4_K_M, else Q8_0, else the only GGUF, else safetensors.
///
/// # Errors
/// [`SelectError`] when none fits, more than one does, or a part is not listed.
pub fn select(files: &[ListedFile], selector: Option<&Selector>) -> Result<Selection, SelectError> {
    let candidates: Vec<Candidate<'_>> = candidates(files, "gguf");
    let models: Vec<&Candidate<'_>> = candidates.iter().filter(|candidate| !is_companion(candidate.name())).collect();
    match selector {
        Some(selector) => selected(&candidates, &models, selector)?.selection(),
        None => select_default(files, &models),
    }
}

/// What of the model that `selector` means is among `files`, be it all or not.
///
/// # Errors
/// [`SelectError`] when nothing fits, or more than one model does.
pub(super) fn parts(files: &[ListedFile], selector: &Selector) -> Result<Vec<ListedFile>, SelectError> {
    let candidates: Vec<Candidate<'_>> = candidates(files, "gguf");
    let models: Vec<&Candidate<'_>> = candidates.iter().filter(|candidate| !is_companion(candidate.name())).collect();
    let model = selected(&candidates, &models, selector)?;
    Ok(model.parts.values().map(|&part| part.clone()).collect())
}

/// The GGUF models among `files`: the selector that means each, whether all of it is there, and its parts.
pub(super) fn ggufs(files: &[ListedFile]) -> Vec<(String, bool, Vec<&ListedFile>)> {
    let candidates = candidates(files, "gguf");
    let label = |model: &Candidate<'_>| quantization(model.name()).filter(|_| !is_companion(model.name()));
    let mut n_of: BTreeMap<String, usize> = BTreeMap::new();
    candidates.iter().filter_map(label).for_each(|label| *n_of.entry(label).or_default() += 1);
    let mut found = Vec::new();
    for model in &candidates {
        let alone = label(model).filter(|label| n_of.get(label) == Some(&1));
        let selector = alone.unwrap_or_else(|| model.name().to_owned());
        found.push((selector, model.parts.len() >= model.n_parts, model.parts.values().copied().collect()));
    }
    found
}

fn selected<'a, 'b>(
    candidates: &'a [Candidate<'b>],
    models: &[&'a Candidate<'b>],
    selector: &Selector,
) -> Result<&'a Candidate<'b>, SelectError> {
    match selector {
        Selector::File(name) => {
            let fits = |candidate: &&Candidate<'_>| candidate.parts.values().any(|part| part.name == *name);
            the_one(candidates.iter().filter(fits).collect(), models, quote(name))
        }
        Selector::Quantization(wanted) => {
            the_one(of_quantization(models, wanted), models, format!("GGUF file of quantization `{wanted}`"))
        }
    }
}

fn select_default(files: &[ListedFile], models: &[&Candidate<'_>]) -> Result<Selection, SelectError> {
    for wanted in PREFERRED {
        let fitting = of_quantization(models, wanted);
        if !fitting.is_empty() {
            return one(fitting, models, format!("GGUF files of quantization `{wanted}`"));
        }
    }
    let weights = safetensors_weights(files);
    match models {
        [model] => model.selection(),
        _ if !weights.is_empty() => safetensors(files, &weights),
        [] => Err(SelectError::NoModel { found: files.to_vec() }),
        _ => one(models.to_vec(), models, "GGUF files".into()),
    }
}

/// The one model of `fitting`; an error calls it `wanted`.
fn one(fitting: Vec<&Candidate<'_>>, models: &[&Candidate<'_>], wanted: String) -> Result<Selection, SelectError> {
    the_one(fitting, models, wanted)?.selection()
}

fn the_one<'a, 'b>(
    fitting: Vec<&'a Candidate<'b>>,
    models: &[&Candidate<'_>],
    wanted: String,
) -> Result<&'a Candidate<'b>, SelectError> {
    let listed = |models: &[&Candidate<'_>]| models.iter().map(|model| model.summary()).collect();
    match fitting.as_slice() {
        [model] => Ok(*model),
        [] => Err(SelectError::NotFound { wanted, found: listed(models) }),
        several => Err(SelectError::Ambiguous { wanted, found: listed(several) }),
    }
}

/// The models whose label is `wanted`, else those that carry it anywhere in their name.
fn of_quantization<'a, 'b>(models: &[&'a Candidate<'b>], wanted: &str) -> Vec<&'a Candidate<'b>> {
    let which = |fits: &dyn Fn(&str) -> bool| models.iter().copied().filter(|model| fits(model.name())).collect();
    let exact: Vec<_> = which(&|name| quantization(name).as_deref() == Some(wanted));
    if exact.is_empty() { which(&|name| carries(name, wanted)) } else { exact }
}

/// The files of an extension, those of the same split model together, by name.
fn candidates<'a>(files: &'a [ListedFile], extension: &str) -> Vec<Candidate<'a>> {
    let mut models: BTreeMap<_, Candidate<'a>> = BTreeMap::new();
    for file in files {
        let Some(stem) = stem(&file.name, extension) else { continue };
        let spelling = &file.name[stem.len()..];
        // A whole file and the parts of another may share a stem: their counts tell them apart.
        let (stem, number, n_parts) = part_of(stem).unwrap_or((stem, 1, 0));
        let model = models.entry((stem, n_parts, spelling)).or_insert(Candidate { parts: BTreeMap::new(), n_parts });
        model.parts.insert(number, file);
    }
    models.into_values().collect()
}

impl<'a> Candidate<'a> {
    fn name(&self) -> &'a str {
        // Candidates are made with their first file.
        self.parts.values().next().map_or("", |part| &part.name)
    }

    /// As one file: the first part's name, the size of all.
    fn summary(&self) -> ListedFile {
        let size_bytes = self
            .parts
            .values()
            .map(|part| part.size_bytes)
            .try_fold(0, |sum: u64, size| Some(sum.saturating_add(size?)));
        ListedFile { name: self.name().into(), size_bytes }
    }

    fn files(&self) -> Result<Vec<ListedFile>, SelectError> {
        let missing: Vec<usize> = (1..=self.n_parts).filter(|number| !self.parts.contains_key(number)).collect();
        if missing.is_empty() {
            return Ok(self.parts.values().map(|&part| part.clone()).collect());
        }
        let numbers = enumerate(missing.iter().map(usize::to_string));
        let missing = format!("part {numbers} of {}", self.n_parts);
        Err(SelectError::Lacks { missing, of: quote(self.name()) })
    }

    fn selection(&self) -> Result<Selection, SelectError> {
        self.files().map(Selection::Gguf)
    }
}

/// The weights in safetensors at the top: those of the index, else `model.safetensors`, else all.
fn safetensors_weights(files: &[ListedFile]) -> Vec<Candidate<'_>> {
    let mut models = candidates(files, "safetensors");
    models.retain(|model| !model.name().contains('/'));
    let indexed = files.iter().any(|file| file.name == INDEX);
    let preferred = models.iter().position(|model| match model.n_parts {
        0 => !indexed && model.name() == "model.safetensors",
        _ => indexed && model.name().starts_with("model-"),
    });
    match preferred {
        Some(at) => vec![models.swap_remove(at)],
        None => models,
    }
}

fn safetensors(files: &[ListedFile], weights: &[Candidate<'_>]) -> Result<Selection, SelectError> {
    let beside = |names: &[&str]| files.iter().filter(|file| names.contains(&file.name.as_str())).cloned().collect();
    let mut selected: Vec<ListedFile> = beside(&REQUIRED);
    if selected.len() < REQUIRED.len() {
        let there = |name: &str| selected.iter().any(|file| file.name == name);
        let missing: Vec<_> = REQUIRED.into_iter().filter(|name| !there(name)).map(quote).collect();
        return Err(SelectError::Lacks { missing: missing.join(" and "), of: "the model in safetensors".into() });
    }
    let optional: Vec<ListedFile> = beside(&OPTIONAL);
    selected.extend(optional);
    for model in weights {
        selected.extend(model.files()?);
    }
    Ok(Selection::Safetensors(selected))
}

fn choices(files: &[ListedFile]) -> String {
    enumerate(files.iter().map(|file| file.to_string()))
}

impl fmt::Display for ListedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.name))?;
        self.size_bytes.map_or(Ok(()), |bytes| write!(f, " ({})", readable(bytes)))
    }
}

/// A size in the decimal units of the Hub.
fn readable(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next();
    while value >= 999.5 {
        let Some(larger) = units.next() else { break };
        (value, unit) = (value / 1000.0, Some(larger));
    }
    let digits = if value < 9.95 && bytes >= 1000 { 1 } else { 0 };
    format!("{value:.digits$} {}", unit.unwrap_or_default())
}
