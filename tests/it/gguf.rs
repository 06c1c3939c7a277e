//! The GGUF reader: right files read right, wrong ones refused by name.

use crate::support::gguf_writer::{GgufBuilder, array, text};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{collection::vec, prop_assert_eq, sample::Index};
use std::{fs, path::Path};
use taper::gguf::{Gguf, GgufError, Value};
use taper::tensor::{Bytes, Dtype};

fn read(file: Vec<u8>) -> Result<Gguf, GgufError> {
    Gguf::from_bytes(Bytes::from(file))
}

/// The error that opening `file` gives.
fn refusal(file: Vec<u8>) -> String {
    read(file).expect_err("a wrong file").to_string()
}

fn example() -> GgufBuilder {
    GgufBuilder::new()
        .string("general.architecture", "llama")
        .u32("llama.block_count", 2)
        .f32("llama.rope.freq_base", 1e6)
        .bool("tokenizer.ggml.add_bos_token", true)
        .strings("tokenizer.ggml.tokens", &["a", "", "bcd"])
        .f32s("tokenizer.ggml.scores", &[0.5, -1.0])
        .i32s("tokenizer.ggml.token_type", &[1, 3])
        .tensor("w", Dtype::F16, &[4, 8], &(0..64).collect::<Vec<u8>>())
        .tensor("q", Dtype::Q8_0, &[32], &[7; 34])
}

#[test]
fn what_was_written_is_read() {
    for version in [2, 3] {
        let gguf = read(example().version(version).build()).unwrap();
        assert_eq!(gguf.version(), version);
        let metadata = gguf.metadata();
        assert_eq!(metadata.str("general.architecture").unwrap(), Some("llama"));
        assert_eq!(metadata.usize("llama.block_count").unwrap(), Some(2));
        assert_eq!(metadata.f32("llama.rope.freq_base").unwrap(), Some(1e6));
        assert_eq!(metadata.bool("tokenizer.ggml.add_bos_token").unwrap(), Some(true));
        assert_eq!(metadata.f32s("tokenizer.ggml.scores").unwrap(), Some(vec![0.5, -1.0]));
        assert_eq!(metadata.i32s("tokenizer.ggml.token_type").unwrap(), Some(vec![1, 3]));
        let tokens = metadata.strings("tokenizer.ggml.tokens").unwrap().unwrap();
        assert_eq!(tokens.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"bcd"]);
        assert_eq!((tokens.get(2), tokens.get(3)), (Some(&b"bcd"[..]), None));
        let tensor = gguf.tensor("w").unwrap().unwrap();
        assert_eq!((tensor.dtype, tensor.shape), (Dtype::F16, vec![4, 8]));
        assert_eq!(*tensor.data, *(0..64).collect::<Vec<u8>>());
        assert_eq!(*gguf.tensor("q").unwrap().unwrap().data, [7; 34]);
        assert!(gguf.tensor("v").unwrap().is_none());
    }
}

#[test]
fn every_value_type_is_read_and_displayed() {
    let numbers = [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (10, 8), (11, 8)];
    let mut file = GgufBuilder::new();
    for (kind, size) in numbers {
        file = file.raw(&format!("n{kind}"), kind, &(-2i64).to_le_bytes()[..size]);
    }
    let inner = array(9, 1, &array(7, 2, &[1, 0]));
    let gguf = read(
        file.raw("double", 12, &2.5f64.to_le_bytes()).raw("nested", 9, &inner).raw("text", 8, &text(b"a\xffb")).build(),
    )
    .unwrap();
    let shown: Vec<String> = gguf.metadata().iter().map(|(_, value)| value.to_string()).collect();
    let max = [u64::MAX - 1, u64::from(u32::MAX) - 1];
    let numbers = ["254", "-2", "65534", "-2", &max[1].to_string(), "-2", &max[0].to_string(), "-2"];
    assert_eq!(shown[..8], numbers);
    assert_eq!(shown[8..], ["2.5", "[[true, false]]", "a\u{fffd}b"]);
    assert_eq!(gguf.metadata().get("nested").unwrap().type_name(), "array of 1 array");
    let error = gguf.metadata().str("text").unwrap_err().to_string();
    assert_eq!(error, "metadata key `text` is the string `a\u{fffd}b`, expected UTF-8 text");
}

#[test]
fn a_getter_takes_any_type_whose_value_fits_and_names_the_key_of_others() {
    let file = GgufBuilder::new()
        .u64("small", 7)
        .i32("negative", -1)
        .string("word", "x")
        .raw("double", 12, &0.1f64.to_le_bytes())
        .raw("huge", 12, &1e300f64.to_le_bytes())
        .i32s("list", &[1, -1]);
    let gguf = read(file.build()).unwrap();
    let metadata = gguf.metadata();
    assert_eq!(metadata.u32("small").unwrap(), Some(7));
    assert_eq!(metadata.i64("negative").unwrap(), Some(-1));
    assert_eq!(metadata.f32("double").unwrap(), Some(0.1));
    assert_eq!(metadata.u32("absent").unwrap(), None);
    let found = |error: GgufError| error.to_string();
    let range = "expected an integer from 0 to 2^32 - 1";
    assert_eq!(
        found(metadata.u32("negative").unwrap_err()),
        format!("metadata key `negative` is the i32 `-1`, {range}")
    );
    assert_eq!(found(metadata.u32("word").unwrap_err()), format!("metadata key `word` is the string `x`, {range}"));
    assert!(found(metadata.f32("huge").unwrap_err()).starts_with("metadata key `huge` is the f64 `1000"));
    assert_eq!(
        found(metadata.u32s("list").unwrap_err()),
        "metadata key `list` is an array of 2 i32, expected an array of integers from 0 to 2^32 - 1"
    );
    assert_eq!(
        found(metadata.strings("list").unwrap_err()),
        "metadata key `list` is an array of 2 i32, expected an array of strings"
    );
}

/// A file whose only tensor is `t`, of a type and shape as given, with 64 bytes of data.
fn with_tensor(kind: u32, shape: &[u64]) -> Vec<u8> {
    GgufBuilder::new().raw_tensor("t", kind, shape, &[0; 64]).build()
}

/// A file with one metadata entry `k`.
fn with_value(kind: u32, value: &[u8]) -> Vec<u8> {
    GgufBuilder::new().raw("k", kind, value).build()
}

#[test]
fn hostile_metadata_is_refused_by_key() {
    let long_name = GgufBuilder::new().u32(&"k".repeat(70_000), 1);
    let huge = (1u64 << 60).to_le_bytes();
    let nested = (0..9).fold(array(0, 0, &[]), |inner, _| array(9, 1, &inner));
    let table = [
        (with_value(8, &huge), "key `k` needs room for 1152921504606846976 bytes of text"),
        (with_value(9, &array(8, usize::MAX, &[])), "key `k` needs room for 18446744073709551615 strings"),
        (with_value(9, &array(10, 1 << 61, &[])), "key `k` needs room for 2305843009213693952 numbers"),
        (
            with_value(9, &array(8, 2, &[text(b"a"), huge.into()].concat())),
            "key `k` needs 2 strings, number 1 from byte",
        ),
        (with_value(9, &nested), "key `k`: arrays nested deeper than 4"),
        (with_value(13, &[0; 8]), "key `k`: the value type 13, expected 0 to 12"),
        (with_value(9, &array(77, 0, &[])), "key `k`: the value type 77, expected 0 to 12"),
        (with_value(7, &[2]), "key `k`: a bool of value 2, expected 0 or 1"),
        (with_value(9, &array(7, 2, &[1, 9])), "key `k`: a bool of value 9, expected 0 or 1"),
        (long_name.build(), "metadata entry 0 of 1: a name of 70000 bytes, expected at most 65535"),
        (GgufBuilder::new().u32("k", 1).u32("k", 1).build(), "key `k`: it is there twice"),
        (
            GgufBuilder::new().u32("evil\nkey\u{1b}", 1).raw("evil\nkey\u{1b}", 0, &[0]).build(),
            r"key `evil\nkey\u{1b}`",
        ),
        (
            GgufBuilder::new().u32("general.alignment", 0).build(),
            "key `general.alignment`: it is 0, expected a power of two",
        ),
        (
            GgufBuilder::new().u32("general.alignment", 48).build(),
            "key `general.alignment`: it is 48, expected a power",
        ),
        (GgufBuilder::new().string("general.alignment", "x").build(), "key `general.alignment` is the string `x`"),
    ];
    for (file, expected) in table {
        let error = refusal(file);
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn hostile_tensors_are_refused_by_name() {
    let twice = GgufBuilder::new().tensor("t", Dtype::F32, &[1], &[0; 4]).tensor("t", Dtype::F32, &[1], &[0; 4]);
    let table = [
        (with_tensor(0, &[]), "tensor `t`: it has 0 dimensions, expected 1 to 4"),
        (with_tensor(0, &[1; 5]), "tensor `t`: it has 5 dimensions, expected 1 to 4"),
        (with_tensor(0, &[4, 0]), "tensor `t`: its shape is 4 × 0, expected no size of 0"),
        (with_tensor(0, &[1 << 32, 1 << 32]), "tensor `t`: its shape is 4294967296 × 4294967296, more elements than"),
        (with_tensor(0, &[1 << 62, 2]), "tensor `t`: its shape is 4611686018427387904 × 2, more elements than"),
        (with_tensor(12, &[300]), "tensor `t`: its rows have 300 elements, Q4_K needs a multiple of 256"),
        (with_tensor(20, &[2, 16]), "tensor `t`: its rows have 16 elements, IQ4_NL needs a multiple of 32"),
        (with_tensor(0, &[1 << 40]), "but tensor `t` reaches to byte 4398046511168: damaged or incomplete download"),
        (twice.build(), "tensor `t`: it is there twice"),
        (offset(33), "tensor `t`: its offset 33 is no multiple of the alignment 32"),
        (offset(64), "ends at 128 bytes, but tensor `t` reaches to byte 192"),
        (offset(u64::MAX - 31), "tensor `t`: its offset 18446744073709551584 lies beyond any file"),
    ];
    for (file, expected) in table {
        let error = refusal(file);
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// A file of 128 bytes whose tensor `t` of 64 bytes claims to start at `offset`.
fn offset(offset: u64) -> Vec<u8> {
    let mut file = with_tensor(0, &[16]);
    assert_eq!(file.len(), 128);
    let field = 24 + 9 + 4 + 8 + 4;
    file[field..field + 8].copy_from_slice(&offset.to_le_bytes());
    file
}

#[test]
fn lying_counts_are_refused_before_anything_is_reserved() {
    for (at, what) in [(8, "tensors"), (16, "metadata entries")] {
        let mut file = GgufBuilder::new().build();
        file[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        let expected = format!("the header needs room for 18446744073709551615 {what} from byte {}", at + 8);
        let error = refusal(file);
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn more_than_any_model_has_is_refused_even_where_the_file_could_hold_it() {
    let mut file = GgufBuilder::new().build();
    file[16..24].copy_from_slice(&(1u64 << 17).to_le_bytes());
    file.resize(13 << 17 | 64, 0);
    let error = refusal(file);
    assert!(error.contains("0 tensors and 131072 metadata entries, expected at most 1048576 and 65536"), "{error}");
    let n = (1 << 20) + 1;
    let error = refusal(with_value(9, &array(9, n, &vec![0; 12 * n])));
    assert!(error.contains("key `k`: more than 1048576 nested arrays"), "{error}");
}

#[test]
fn what_is_not_gguf_is_called_what_it_is() {
    let safetensors = [&70u64.to_le_bytes()[..], br#"{"a":{"dtype":"F32"}}"#].concat();
    let table: [(&[u8], &str); 13] = [
        (b"", "empty"),
        (b"Once upon a time", "text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a git-lfs pointer"),
        (b"\n<!DOCTYPE HTML><html>", "a web page"),
        (&safetensors, "safetensors"),
        (b"PK\x03\x04\x00", "a zip archive"),
        (b"\x80\x02}q\x00", "a Python pickle"),
        (b"lmgg\x01\x00", "a model in the old GGML format"),
        (b"\x1f\x8b\x08", "a compressed file"),
        (br#"{"error": "not found"}"#, "JSON"),
        (&[0; 64], "zeros"),
        (b"\x7fELF\x02\x01", "something else"),
        (b"GG", "text"),
    ];
    for (file, expected) in table {
        let error = refusal(file.to_vec());
        assert!(error.starts_with(&format!("the model in memory is not a GGUF file but {expected}")), "{error}");
    }
}

#[test]
fn other_versions_and_byte_orders_are_refused() {
    let table = [(1u32, "GGUF version 1"), (4, "GGUF version 4"), (3u32.swap_bytes(), "big-endian GGUF")];
    for (version, expected) in table {
        let error = refusal(GgufBuilder::new().version(version).build());
        assert!(error.contains(&format!("is {expected}, expected little-endian GGUF version 2 or 3")), "{error}");
    }
}

#[test]
fn a_tensor_of_an_unknown_type_spoils_nothing_but_itself() {
    let file = example().raw_tensor("odd", 99, &[3], &[1]).raw_tensor("iq", 16, &[256], &[0; 66]);
    let gguf = read(file.build()).unwrap();
    let shown: Vec<_> = gguf.tensors().map(|info| (info.type_name(), info.n_bytes)).collect();
    assert_eq!(shown[2..], [("type 99".to_string(), None), ("IQ2_XXS".to_string(), Some(66))]);
    assert!(gguf.tensor("w").unwrap().is_some());
    let error = gguf.tensor("odd").unwrap_err().to_string();
    assert!(error.starts_with("tensor `odd` is stored as type 99, which is not supported"), "{error}");
    let error = gguf.tensor("iq").unwrap_err().to_string();
    assert!(error.starts_with("tensor `iq` is stored as IQ2_XXS, which is not supported"), "{error}");
}

#[test]
fn tensors_may_share_bytes() {
    let mut file =
        GgufBuilder::new().tensor("a", Dtype::F32, &[8], &[1; 32]).tensor("b", Dtype::F32, &[8], &[2; 32]).build();
    let second_offset = 24 + 2 * (9 + 4 + 8 + 4 + 8) - 8;
    file[second_offset..second_offset + 8].fill(0);
    let gguf = read(file).unwrap();
    assert_eq!(*gguf.tensor("a").unwrap().unwrap().data, *gguf.tensor("b").unwrap().unwrap().data);
}

/// Part `number` of a model of `count` parts and 2 tensors, with a tensor of its own.
fn part(number: u16, count: u16) -> Vec<u8> {
    GgufBuilder::new()
        .u16("split.no", number)
        .u16("split.count", count)
        .i32("split.tensors.count", 2)
        .tensor(&format!("t{number}"), Dtype::F32, &[1], &[number as u8; 4])
        .build()
}

#[test]
fn a_split_model_is_one_model() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|i| folder.path().join(format!("m-0000{i}-of-00002.gguf")));
    fs::write(&first, part(0, 2)).unwrap();
    let error = Gguf::open(&first).unwrap_err();
    assert!(matches!(&error, GgufError::MissingPart { path, number: 2, count: 2 } if *path == second), "{error}");

    fs::write(&second, part(1, 2)).unwrap();
    let gguf = Gguf::open(&first).unwrap();
    assert_eq!(gguf.paths(), [first.clone(), second.clone()]);
    assert_eq!(gguf.len_bytes(), part(0, 2).len() * 2);
    for (i, name) in ["t0", "t1"].iter().enumerate() {
        assert_eq!(*gguf.tensor(name).unwrap().unwrap().data, [i as u8; 4]);
    }

    let wrong = |file: Vec<u8>| {
        fs::write(&second, file).unwrap();
        Gguf::open(&first).unwrap_err().to_string()
    };
    assert!(wrong(part(0, 2)).ends_with("m-00002-of-00002.gguf` is part 1 of 2, expected 2 of 2"));
    let same = GgufBuilder::new().u16("split.no", 1).u16("split.count", 2).tensor("t0", Dtype::F32, &[1], &[0; 4]);
    assert!(wrong(same.build()).ends_with("m-00002-of-00002.gguf` is malformed: tensor `t0`: it is there twice"));
    let without = GgufBuilder::new().u16("split.no", 1).u16("split.count", 2).build();
    assert!(wrong(without).ends_with("m-00001-of-00002.gguf` and its other parts hold 1 tensors, expected 2"));
}

#[test]
fn a_part_that_is_not_the_first_or_misnamed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    fs::write(&path, part(1, 2)).unwrap();
    let error = Gguf::open(&path).unwrap_err().to_string();
    assert!(error.ends_with("is part 2 of 2\nhint: give the first part"), "{error}");
    fs::write(&path, part(0, 2)).unwrap();
    let error = Gguf::open(&path).unwrap_err().to_string();
    assert!(error.contains("must end in `-00001-of-00002.gguf`"), "{error}");
    assert!(refusal(part(0, 2)).contains("is part 1 of 2, expected a whole model"));
    assert!(refusal(part(2, 2)).contains("has `split.no` 2 of `split.count` 2"));
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let error = Gguf::open(&folder.path().join("absent.gguf")).unwrap_err();
    assert!(matches!(&error, GgufError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound), "{error}");
    let error = Gguf::open(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read `") && error.ends_with("`: is a directory"), "{error}");
    #[cfg(unix)]
    {
        let error = Gguf::open(Path::new("/dev/null")).unwrap_err().to_string();
        assert_eq!(error, "cannot read `/dev/null`: not a regular file, which alone can be mapped");
    }
    let empty = folder.path().join("empty.gguf");
    fs::write(&empty, "").unwrap();
    let error = Gguf::open(&empty).unwrap_err().to_string();
    assert!(error.ends_with("empty.gguf` is not a GGUF file but empty"), "{error}");
}

#[test]
fn a_cut_file_never_opens() {
    let file = example().build();
    let end_of_data = file.len() - 30;
    for len in 0..end_of_data {
        assert!(read(file[..len].to_vec()).is_err(), "{len} of {} bytes", file.len());
    }
    assert!(read(file[..end_of_data].to_vec()).is_ok(), "the padding after the last tensor may be missing");
}

/// A number, a text or an array as the file holds it, with GGUF's type number.
fn value() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let word = || vec(any::<u8>(), 0..6);
    let strings = vec(word(), 0..5).prop_map(|words| {
        let elements: Vec<u8> = words.iter().flat_map(|word| text(word)).collect();
        (9, array(8, words.len(), &elements))
    });
    prop_oneof![
        any::<u32>().prop_map(|v| (4, v.to_le_bytes().to_vec())),
        any::<i64>().prop_map(|v| (11, v.to_le_bytes().to_vec())),
        any::<f64>().prop_map(|v| (12, v.to_le_bytes().to_vec())),
        any::<bool>().prop_map(|v| (7, vec![v.into()])),
        word().prop_map(|word| (8, text(&word))),
        strings,
        vec(any::<[u8; 2]>(), 0..5).prop_map(|v| (9, array(3, v.len(), v.as_flattened()))),
        Just((9, array(9, 2, &[array(7, 1, &[1]), array(8, 1, &text(b"x"))].concat()))),
    ]
}

type Tensors = Vec<(Dtype, Vec<usize>, Vec<u8>)>;

/// Tensors of one to four blocks a row.
fn tensors() -> impl Strategy<Value = Tensors> {
    let one = (any::<Index>(), 1..4usize, vec(1..3usize, 0..4)).prop_map(|(dtype, blocks, outer)| {
        let dtype = Dtype::all().nth(dtype.index(Dtype::all().count())).expect("inside");
        let mut shape = outer;
        shape.push(blocks * dtype.block_len());
        let len = dtype.bytes_for(shape.iter().product()).expect("whole blocks");
        (dtype, shape, (0..len).map(|i| (i * 31) as u8).collect())
    });
    vec(one, 0..5)
}

fn written(values: &[(u32, Vec<u8>)], tensors: &Tensors, alignment: u32) -> Vec<u8> {
    let mut file = GgufBuilder::new().alignment(alignment);
    for (i, (kind, value)) in values.iter().enumerate() {
        file = file.raw(&format!("key.{i}"), *kind, value);
    }
    for (i, (dtype, shape, data)) in tensors.iter().enumerate() {
        file = file.tensor(&format!("blk.{i}.weight"), *dtype, shape, data);
    }
    file.build()
}

/// What `value` is in a file, in the way that [`value`] writes it.
fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::U32(v) => v.to_le_bytes().to_vec(),
        Value::I16(v) => v.to_le_bytes().to_vec(),
        Value::I64(v) => v.to_le_bytes().to_vec(),
        Value::F64(v) => v.to_le_bytes().to_vec(),
        Value::Bool(v) => vec![(*v).into()],
        Value::String(v) => text(v),
        Value::Array(v) => {
            let elements: Vec<u8> = v.iter().flat_map(|element| bytes_of(&element)).collect();
            array(v.element_type() as u32, v.len(), &elements)
        }
        other => panic!("{other:?} is never written"),
    }
}

/// Reads all that the file offers, so that every slice is taken.
fn touch(file: Vec<u8>) {
    let Ok(gguf) = read(file) else { return };
    for (_, value) in gguf.metadata().iter() {
        assert!(!value.type_name().is_empty());
        value.to_string();
    }
    for info in gguf.tensors() {
        if let Ok(Some(tensor)) = gguf.tensor(&info.name) {
            assert_eq!(tensor.dtype.bytes_for(tensor.len()), Some(tensor.data.len()));
        }
    }
}

proptest! {
    #[test]
    fn any_right_file_is_read_as_it_was_written(
        values in vec(value(), 0..8), tensors in tensors(), shift in 0..9u32,
    ) {
        let gguf = read(written(&values, &tensors, 1 << shift)).expect("a right file");
        for (i, (_, value)) in values.iter().enumerate() {
            let found = gguf.metadata().get(&format!("key.{i}")).expect("written");
            prop_assert_eq!(&bytes_of(found), value);
        }
        for (i, (dtype, shape, data)) in tensors.iter().enumerate() {
            let found = gguf.tensor(&format!("blk.{i}.weight")).expect("a known type").expect("written");
            prop_assert_eq!((found.dtype, &found.shape, &*found.data), (*dtype, shape, &data[..]));
        }
    }

    #[test]
    fn a_spoilt_file_never_panics(
        values in vec(value(), 0..8), tensors in tensors(),
        spots in vec((any::<Index>(), any::<u8>()), 1..4), cut in any::<Index>(),
    ) {
        let mut file = written(&values, &tensors, 32);
        for (spot, byte) in &spots {
            let spot = spot.index(file.len());
            file[spot] = *byte;
        }
        touch(file.clone());
        file.truncate(cut.index(file.len()));
        touch(file);
    }

    #[test]
    fn no_number_in_the_header_is_believed(
        at in any::<Index>(), number in prop_oneof![any::<u64>(), (0..64u32).prop_map(|bit| (1 << bit) - 1)],
    ) {
        let mut file = example().build();
        let at = at.index(file.len() - 8);
        file[at..at + 8].copy_from_slice(&number.to_le_bytes());
        touch(file);
    }
}

#[test]
fn every_single_changed_byte_is_survived() {
    let file = example().build();
    for at in 0..file.len() {
        for change in [1, 0x80, 0xff] {
            let mut spoilt = file.clone();
            spoilt[at] ^= change;
            touch(spoilt);
        }
    }
}

#[test]
fn real_vocabularies_open() {
    let folder = Path::new("../shared/vocab");
    let Ok(entries) = fs::read_dir(folder) else {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    let files =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|ext| ext == "gguf"));
    for path in files {
        let gguf = Gguf::open(&path).unwrap();
        let tokens = gguf.metadata().strings("tokenizer.ggml.tokens").unwrap().expect("a vocabulary");
        let types = gguf.metadata().i32s("tokenizer.ggml.token_type").unwrap().expect("types");
        assert_eq!(tokens.len(), types.len(), "{}", path.display());
        assert!(tokens.iter().all(|token| str::from_utf8(token).is_ok()), "{}", path.display());
    }
}
