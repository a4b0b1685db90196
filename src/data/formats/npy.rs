//! Reads NumPy's `.npy` arrays as f32 and writes f32 arrays.

use crate::data::disk::write_whole;
use crate::data::file::read_whole;
use crate::memory::reserve;
use crate::tensor::shape_text;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// Maximum size of an array file in bytes.
const LIMIT: u64 = 4 << 30;

/// An array read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Npy {
    /// The shape, slowest dimension first.
    pub shape: Vec<usize>,
    /// The values in row-major order, regardless of the order in the file.
    pub values: Vec<f32>,
    /// NumPy's name for the dtype of the file, without byte order: `f4`, `f8`, `u1`.
    pub dtype: String,
}

/// Reads a `.npy` file of floating-point, integer or boolean values.
///
/// Errors if the file cannot be read, is larger than 4 GiB, or is not an array of numbers or booleans.
pub fn read_npy(path: &Path) -> Result<Npy> {
    let bytes = read_whole(path, LIMIT)?;
    parse_npy(&bytes).with_context(|| format!("reading \"{}\" as an array", words::path(&path)))
}

/// Writes f32 values to a `.npy` file, atomically.
///
/// Errors if the number of values does not match the shape or if the file cannot be written.
pub fn write_npy(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    let bytes = npy_bytes(shape, values).with_context(|| format!("writing \"{}\"", words::path(&path)))?;
    write_whole(path, &bytes)
}

/// Encodes f32 values as a `.npy` file.
///
/// Errors if the number of values does not match the shape.
pub fn npy_bytes(shape: &[usize], values: &[f32]) -> Result<Vec<u8>> {
    let count: usize = shape.iter().product();
    ensure!(count == values.len(), "got {} values for shape {shape:?}", values.len());
    let sizes: String = shape.iter().map(|n| format!("{n},")).collect();
    let mut head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    let padding = 64 - (10 + head.len() + 1) % 64;
    head.push_str(&" ".repeat(padding));
    head.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    Ok(bytes)
}

/// The header of a `.npy` file.
pub struct NpyHeader {
    /// NumPy's name for the dtype, with byte order, such as `<f4`.
    pub descr: String,
    /// Whether the values are in column-major order.
    pub fortran: bool,
    /// The shape, slowest dimension first.
    pub shape: Vec<usize>,
}

/// Parses the bytes of a `.npy` file.
///
/// Errors if the file is damaged or truncated, or if its format version or dtype is not supported.
pub fn parse_npy(bytes: &[u8]) -> Result<Npy> {
    let (NpyHeader { descr, fortran, shape }, data) = parse_header(bytes)?;
    let values = decode(&descr, &shape, data)?;
    let values = if fortran { from_fortran(&shape, &values) } else { values };
    Ok(Npy { shape, values, dtype: descr[1..].into() })
}

/// Splits a `.npy` file into its header and the bytes of its values.
///
/// Errors if the header is damaged or its format version is not supported.
pub fn parse_header(bytes: &[u8]) -> Result<(NpyHeader, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b"\x93NUMPY") else {
        bail!("the data has no .npy header; create the file with numpy.save");
    };
    let short = "the file ends within the .npy header";
    let (version, rest) = rest.split_at_checked(2).context(short)?;
    let wide = match version[0] {
        1 => false,
        2 | 3 => true,
        other => bail!("version {other} of the .npy format is not supported; only versions 1 to 3 are"),
    };
    let (length, rest) = rest.split_at_checked(if wide { 4 } else { 2 }).context(short)?;
    let length = length.iter().rev().fold(0usize, |n, &b| n << 8 | b as usize);
    let (head, data) = rest.split_at_checked(length).context(short)?;
    let head = std::str::from_utf8(head).context("the .npy header is not text")?;
    let (descr, fortran, shape) = parse_head(head).with_context(|| format!("the .npy header is {:?}", clip(head)))?;
    Ok((NpyHeader { descr, fortran, shape }, data))
}

/// Parses a header such as `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`; returns the dtype, whether the array is
/// column-major, and the shape.
fn parse_head(head: &str) -> Result<(String, bool, Vec<usize>)> {
    let value = |key: &str| {
        let (_, rest) =
            head.split_once(&format!("'{key}':")).with_context(|| format!("the .npy header has no '{key}'"))?;
        Ok::<_, anyhow::Error>(rest.trim_start())
    };
    let descr = value("descr")?;
    let Some((descr, _)) = descr.strip_prefix('\'').and_then(|d| d.split_once('\'')) else {
        bail!("structured arrays are not supported; save an array with a single field");
    };
    ensure!(descr.len() >= 2 && descr.is_ascii(), "unknown type '{descr}'");
    let fortran = value("fortran_order")?.starts_with("True");
    let (shape, _) =
        value("shape")?.strip_prefix('(').and_then(|s| s.split_once(')')).context("the shape is not a tuple")?;
    let sizes = shape.split(',').map(str::trim).filter(|n| !n.is_empty());
    let shape =
        sizes.map(|n| n.parse().with_context(|| format!("the size \"{n}\" is not a number"))).collect::<Result<_>>()?;
    Ok((descr.into(), fortran, shape))
}

/// Decodes `data` as f32 values. Errors if its length does not match `shape` or if the dtype is not supported.
fn decode(descr: &str, shape: &[usize], data: &[u8]) -> Result<Vec<f32>> {
    let (order, dtype) = descr.split_at(1);
    let width = match dtype {
        "f2" | "f4" | "f8" | "u1" | "u2" | "u4" | "u8" | "i1" | "i2" | "i4" | "i8" | "b1" => dtype.as_bytes()[1] - b'0',
        "O" => bail!("arrays of Python objects are not supported; save an array of numbers"),
        _ => bail!("values of type '{descr}' are not supported; use f2, f4, f8, u1 to u8, i1 to i8 or b1"),
    } as usize;
    let size = shape.iter().try_fold(width, |n, &d| n.checked_mul(d));
    let expected = size.with_context(|| format!("the shape {shape:?} is too large"))?;
    ensure!(
        data.len() == expected,
        "an array of shape {shape:?} and type '{descr}' has {expected} bytes, but the file has {}",
        data.len()
    );
    // Space for two copies, because column-major arrays are copied to row-major order.
    reserve(data.len() / width * 4 * 2, || format!("an array of shape {}", shape_text(shape)))?;
    let big = match order {
        "<" | "|" => false,
        ">" => true,
        "=" => cfg!(target_endian = "big"),
        _ => bail!("unknown byte order '{order}'"),
    };
    Ok(data.chunks_exact(width).map(|item| number(dtype, item, big)).collect())
}

/// Decodes one value; `big` means that its bytes are big-endian.
fn number(dtype: &str, item: &[u8], big: bool) -> f32 {
    let mut raw = [0u8; 8];
    raw[..item.len()].copy_from_slice(item);
    if big {
        raw[..item.len()].reverse();
    }
    let bits = u64::from_le_bytes(raw);
    let unused = 64 - 8 * item.len() as u32;
    match (dtype, dtype.as_bytes()[0]) {
        ("f2", _) => half::f16::from_bits(bits as u16).to_f32(),
        ("f4", _) => f32::from_bits(bits as u32),
        ("f8", _) => f64::from_bits(bits) as f32,
        (_, b'i') => ((bits << unused) as i64 >> unused) as f32,
        _ => bits as f32,
    }
}

/// Converts column-major values to row-major order.
fn from_fortran(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let mut index = vec![0; shape.len()];
    let mut row_major = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let place = index.iter().zip(shape).rev().fold(0, |place, (i, n)| place * n + i);
        row_major.push(values[place]);
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    row_major
}

fn clip(text: &str) -> String {
    text.trim_end().chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(head: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((head.len() as u16).to_le_bytes());
        bytes.extend(head.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn head(descr: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    }

    #[test]
    fn arrays_of_every_rank_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        for shape in [vec![], vec![5], vec![2, 3], vec![1, 3, 2, 2], vec![0, 3]] {
            let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| i as f32 * 0.1 - 1.0).collect();
            write_npy(&path, &shape, &values).unwrap();
            assert_eq!(read_npy(&path).unwrap(), Npy { shape, values, dtype: "f4".into() });
            assert_eq!((std::fs::read(&path).unwrap().len() - 4 * read_npy(&path).unwrap().values.len()) % 64, 0);
        }
    }

    #[test]
    fn the_header_is_the_one_numpy_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_npy(&path, &[3], &[1.0, 2.0, 3.0]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert!(bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }  "));
    }

    #[test]
    fn every_dtype_and_byte_order_is_read() {
        let cases: [(&str, &[u8], f32); 9] = [
            ("<f4", &[0, 0, 0xc0, 0x3f], 1.5),
            (">f4", &[0x3f, 0xc0, 0, 0], 1.5),
            ("<f8", &[0, 0, 0, 0, 0, 0, 0xf8, 0xbf], -1.5),
            ("<f2", &[0, 0x3e], 1.5),
            ("|u1", &[255], 255.0),
            ("|i1", &[255], -1.0),
            (">i2", &[0xff, 0xfe], -2.0),
            ("<i8", &[7, 0, 0, 0, 0, 0, 0, 0], 7.0),
            ("|b1", &[1], 1.0),
        ];
        for (descr, data, expected) in cases {
            let array = parse_npy(&npy(&head(descr, "False", "(1,)"), data)).unwrap();
            assert_eq!(array.values, [expected], "{descr}");
        }
    }

    #[test]
    fn column_major_arrays_come_out_row_major() {
        let array = parse_npy(&npy(&head("|u1", "True", "(2, 3)"), &[0, 3, 1, 4, 2, 5])).unwrap();
        assert_eq!(array.values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn errors_say_what_is_wrong_with_a_file() {
        let huge = head("<f8", "False", "(4294967296, 4294967296, 9)");
        let cases = [
            (b"PNG".to_vec(), "no .npy header"),
            (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), "ends within the .npy header"),
            (npy(&head("<f4", "False", "(2,)"), &[0; 7]), "has 8 bytes, but the file has 7"),
            (npy(&head("|O", "False", "(1,)"), &[0]), "Python objects"),
            (npy(&head("<c8", "False", "(1,)"), &[0; 8]), "'<c8' are not supported"),
            (npy(&huge, &[]), "is too large"),
            (npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]), "structured arrays"),
            (npy("{}", &[]), "no 'descr'"),
        ];
        for (bytes, expected) in cases {
            let error = format!("{:#}", parse_npy(&bytes).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn no_truncation_panics() {
        let whole = npy(&head("<f4", "True", "(2, 3)"), &[0; 24]);
        for length in 0..whole.len() {
            assert!(parse_npy(&whole[..length]).is_err());
        }
    }
}
