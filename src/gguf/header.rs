//! Parses one file's header: version, metadata and the tensor index, all checked against the size of the file.

use super::cursor::Cursor;
use super::error::GgufError;
use super::looks;
use super::metadata::Metadata;
use super::tensor_info::TensorInfo;
use super::types;
use crate::tensor::Bytes;

const MAX_DIMS: u32 = 4;
const DEFAULT_ALIGNMENT: u32 = 32;
/// Far more than any model has; entries take more memory than bytes in the file.
const MAX_ENTRIES: usize = 1 << 16;
/// As [`MAX_ENTRIES`]; mixtures with a tensor per expert have tens of thousands.
const MAX_TENSORS: usize = 1 << 20;
/// A key's length, its type and one byte.
const LEAST_ENTRY_BYTES: usize = 13;
/// A name's length, the number of dimensions, one of them, type and offset.
const LEAST_TENSOR_BYTES: usize = 32;

/// What one file's header says.
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<TensorInfo>,
}

/// Reads the header of `bytes`, which are part `part` of a model; `origin` names the file in errors.
pub(super) fn parse(bytes: &Bytes, origin: &str, part: usize) -> Result<Header, GgufError> {
    let mut cursor = Cursor::new(bytes, origin);
    let version = version(&mut cursor, bytes, origin)?;
    let n_tensors = cursor.count("tensors", LEAST_TENSOR_BYTES)?;
    let n_entries = cursor.count("metadata entries", LEAST_ENTRY_BYTES)?;
    if n_tensors > MAX_TENSORS || n_entries > MAX_ENTRIES {
        let limit = format!("expected at most {MAX_TENSORS} and {MAX_ENTRIES}");
        return Err(cursor.malformed(format!("{n_tensors} tensors and {n_entries} metadata entries, {limit}")));
    }
    let metadata = metadata(&mut cursor, n_entries)?;
    let alignment = alignment(&mut cursor, &metadata)?;
    let mut tensors = Vec::new();
    for i in 0..n_tensors {
        cursor.item = format!("tensor {i} of {n_tensors}");
        tensors.push(tensor(&mut cursor, part, alignment)?);
    }
    place(&mut cursor, &mut tensors, alignment, bytes.len())?;
    Ok(Header { version, metadata, tensors })
}

fn version(cursor: &mut Cursor<'_>, bytes: &Bytes, origin: &str) -> Result<u32, GgufError> {
    if !bytes.starts_with(b"GGUF") {
        return Err(GgufError::NotGguf { origin: origin.into(), found: looks::like(bytes) });
    }
    cursor.u32()?;
    let version = cursor.u32()?;
    let found = match version {
        2 | 3 => return Ok(version),
        _ if matches!(version.swap_bytes(), 1..=3) => "big-endian GGUF".into(),
        _ => format!("GGUF version {version}"),
    };
    Err(GgufError::Version { origin: origin.into(), found })
}

fn metadata(cursor: &mut Cursor<'_>, n_entries: usize) -> Result<Metadata, GgufError> {
    let mut metadata = Metadata::default();
    for i in 0..n_entries {
        cursor.item = format!("metadata entry {i} of {n_entries}");
        let key = cursor.name()?;
        cursor.now_reading("key", &key);
        let kind = cursor.value_type()?;
        let value = cursor.value(kind)?;
        if !metadata.insert(key, value) {
            return Err(cursor.malformed("it is there twice"));
        }
    }
    Ok(metadata)
}

fn alignment(cursor: &mut Cursor<'_>, metadata: &Metadata) -> Result<usize, GgufError> {
    const KEY: &str = "general.alignment";
    let alignment = metadata.u32(KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() {
        cursor.now_reading("key", KEY);
        return Err(cursor.malformed(format!("it is {alignment}, expected a power of two")));
    }
    Ok(alignment as usize)
}

/// One entry of the tensor index; its offset still counts from the start of the data.
fn tensor(cursor: &mut Cursor<'_>, part: usize, alignment: usize) -> Result<TensorInfo, GgufError> {
    let name = cursor.name()?;
    cursor.now_reading("tensor", &name);
    let n_dims = cursor.u32()?;
    if n_dims == 0 || n_dims > MAX_DIMS {
        return Err(cursor.malformed(format!("it has {n_dims} dimensions, expected 1 to {MAX_DIMS}")));
    }
    let mut shape = Vec::with_capacity(n_dims as usize);
    for _ in 0..n_dims {
        shape.push(cursor.u64()?);
    }
    let type_id = cursor.u32()?;
    let offset = cursor.u64()?;
    let n_bytes = n_bytes(cursor, &shape, type_id)?;
    let shape = shape.iter().rev().map(|&size| size as usize).collect();
    if !offset.is_multiple_of(alignment as u64) {
        return Err(cursor.malformed(format!("its offset {offset} is no multiple of the alignment {alignment}")));
    }
    let offset = usize::try_from(offset).map_err(|_| cursor.malformed(format!("its offset is {offset}")))?;
    Ok(TensorInfo { name, type_id, shape, n_bytes, part, offset })
}

/// The bytes that a tensor takes, `None` if the type is unknown; `shape` starts with the innermost dimension.
fn n_bytes(cursor: &Cursor<'_>, shape: &[u64], type_id: u32) -> Result<Option<usize>, GgufError> {
    let sizes = || shape.iter().rev().map(u64::to_string).collect::<Vec<_>>().join(" × ");
    if shape.contains(&0) {
        return Err(cursor.malformed(format!("its shape is {}, expected no size of 0", sizes())));
    }
    let too_large = || cursor.malformed(format!("its shape is {}, more elements than can be counted", sizes()));
    let elements = shape.iter().try_fold(1u64, |n, &size| n.checked_mul(size)).ok_or_else(too_large)?;
    let elements = usize::try_from(elements).map_err(|_| too_large())?;
    let Some((block_len, block_bytes)) = types::block(type_id) else { return Ok(None) };
    if !shape[0].is_multiple_of(block_len as u64) {
        let name = types::name(type_id);
        return Err(
            cursor.malformed(format!("its rows have {} elements, {name} needs a multiple of {block_len}", shape[0]))
        );
    }
    (elements / block_len).checked_mul(block_bytes).ok_or_else(too_large).map(Some)
}

/// Makes offsets count from the beginning of the file, and checks that the data of each tensor lie inside.
fn place(
    cursor: &mut Cursor<'_>,
    tensors: &mut [TensorInfo],
    alignment: usize,
    len_bytes: usize,
) -> Result<(), GgufError> {
    let start = cursor.position().checked_next_multiple_of(alignment);
    let mut furthest: Option<(usize, &str)> = None;
    for tensor in tensors {
        let placed = start.and_then(|start| start.checked_add(tensor.offset));
        let end = placed.and_then(|offset| offset.checked_add(tensor.n_bytes.unwrap_or(0)));
        let (Some(offset), Some(end)) = (placed, end) else {
            cursor.now_reading("tensor", &tensor.name);
            return Err(cursor.malformed(format!("its offset {} lies beyond any file", tensor.offset)));
        };
        tensor.offset = offset;
        if end > furthest.map_or(len_bytes, |known| known.0) {
            furthest = Some((end, &tensor.name));
        }
    }
    let Some((end, name)) = furthest else { return Ok(()) };
    cursor.now_reading("tensor", name);
    Err(cursor.truncated(format!("reaches to byte {end}")))
}
