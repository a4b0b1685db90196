//! Random mutations of files and scripts, reproducible from a seed.

use crate::common::random::Random;

/// Typical wrong lengths and counts.
const LIES: [u64; 10] = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, u64::MAX];

/// A file with a few mutations, occasionally spliced with part of another.
pub fn bytes(of: &[u8], other: &[u8], dice: &mut Random) -> Vec<u8> {
    let mut all = of.to_vec();
    for _ in 0..=dice.below(5) {
        let at = dice.below(all.len() + 1);
        let end = (at + 1 + dice.below(16)).min(all.len());
        let at = at.min(end);
        match dice.below(10) {
            0 if at < end => all[at] ^= 1 << dice.below(8),
            1 if at < end => all[at] = dice.bits() as u8,
            2 => all[at..end].fill(*dice.one_of(&[0x00, 0x7F, 0x80, 0xFF])),
            3 => drop(all.drain(at..end)),
            4 => drop(all.splice(at..at, all[at..end].to_vec())),
            5 => all.truncate(at),
            6 => lie(&mut all, at, dice),
            7 if !other.is_empty() => {
                let from = dice.below(other.len());
                let count = dice.below(64).min(other.len() - from);
                drop(all.splice(at..end, other[from..from + count].to_vec()));
            }
            8 => digits(&mut all, dice),
            _ => drop(all.splice(at..at, vec![dice.bits() as u8; dice.below(300)])),
        }
    }
    if dice.below(2) == 0 {
        right_checksums(&mut all);
    }
    all
}

/// Replaces an integer of 2, 4 or 8 bytes, in either byte order, by an extreme value.
fn lie(all: &mut [u8], at: usize, dice: &mut Random) {
    let (width, value) = (*dice.one_of(&[2, 4, 8]), *dice.one_of(&LIES));
    let Some(place) = all.get_mut(at..at + width) else { return };
    match dice.below(2) {
        0 => place.copy_from_slice(&value.to_le_bytes()[..width]),
        _ => place.copy_from_slice(&value.to_be_bytes()[8 - width..]),
    }
}

/// Replaces a number written in digits.
fn digits(all: &mut Vec<u8>, dice: &mut Random) {
    let Some(from) =
        (0..all.len()).cycle().skip(dice.below(all.len())).take(all.len()).find(|i| all[*i].is_ascii_digit())
    else {
        return;
    };
    let end = all[from..].iter().position(|b| !b.is_ascii_digit()).map_or(all.len(), |n| from + n);
    let value = ["-1", "0", "1e999", "18446744073709551616", "9223372036854775807", "4294967296", "1.5", "null"];
    drop(all.splice(from..end, dice.one_of(&value).bytes()));
}

/// Corrects the checksums of a PNG, a zip or a tar archive, so that the code after the check is reached.
fn right_checksums(all: &mut [u8]) {
    right_png(all);
    right_zip(all);
    right_tar(all);
}

/// Corrects the checksums of the stored members of a zip archive, in their own headers and in the central directory.
fn right_zip(all: &mut [u8]) {
    let number = |all: &[u8], at: usize, width: usize| {
        all.get(at..at + width).map(|bytes| bytes.iter().rev().fold(0usize, |n, b| n << 8 | *b as usize))
    };
    let entries: Vec<_> = (0..all.len()).filter(|at| all[*at..].starts_with(b"PK\x01\x02")).collect();
    for entry in entries {
        let stored = number(all, entry + 10, 2) == Some(0);
        let (Some(size), Some(header)) = (number(all, entry + 20, 4), number(all, entry + 42, 4)) else { continue };
        let (Some(name), Some(extra)) = (number(all, header + 26, 2), number(all, header + 28, 2)) else { continue };
        let start = header + 30 + name + extra;
        let Some(bytes) = all.get(start..start + size).filter(|_| stored) else { continue };
        let sum = checksum(bytes).to_le_bytes();
        all[header + 14..header + 18].copy_from_slice(&sum);
        all[entry + 16..entry + 20].copy_from_slice(&sum);
    }
}

/// Corrects the checksums of the headers of a tar archive.
fn right_tar(all: &mut [u8]) {
    if all.get(257..262) != Some(b"ustar") {
        return;
    }
    for header in all.chunks_exact_mut(512).filter(|header| header[257..262] == *b"ustar") {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Corrects the checksums of a PNG's chunks.
fn right_png(all: &mut [u8]) {
    if !all.starts_with(b"\x89PNG\r\n\x1a\n") {
        return;
    }
    let mut at = 8;
    while let Some(length) = all.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(end) = length.checked_add(at + 8).filter(|end| end + 4 <= all.len()) else { return };
        let sum = checksum(&all[at + 4..end]);
        all[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
}

/// CRC-32, as in PNG and zip.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// The tokens of a script: names, numbers, strings, punctuation and whitespace.
pub fn words(text: &str) -> Vec<&str> {
    let (mut all, mut rest) = (vec![], text);
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            '"' => rest[1..].find('"').map_or(rest.len(), |n| n + 2),
            c => c.len_utf8(),
        };
        let (word, behind) = rest.split_at(length);
        all.push(word);
        rest = behind;
    }
    all
}

/// Tokens that shipped scripts do not contain.
const STRANGE: [&str; 24] = [
    "loop",
    "while true",
    "()",
    "[]",
    "#{}",
    "-9223372036854775808",
    "9223372036854775807",
    "1e308",
    "0.0/0.0",
    "\"\"",
    "\"\\u{1b}[31m\"",
    "|x| x",
    "this",
    "global",
    "import \"lib/attack\" as a;",
    "throw",
    "try",
    "catch",
    "eval(\"1\")",
    "fn f(x) { f(x) }",
    "[[[[[[[[]]]]]]]]",
    "Fn(\"run\")",
    "call",
    "..=",
];

/// A script with a few tokens moved, deleted, duplicated or taken from another.
pub fn script(of: &str, other: &str, dice: &mut Random) -> String {
    let (mut all, other) = (words(of), words(other));
    for _ in 0..=dice.below(6) {
        let (at, to) = (dice.below(all.len()), dice.below(all.len()));
        match dice.below(6) {
            0 if !all.is_empty() => drop(all.remove(at)),
            1 if !all.is_empty() => all.swap(at, to),
            2 if !all.is_empty() => all[at] = *dice.one_of(&STRANGE),
            3 => all.insert(at, *dice.one_of(&STRANGE)),
            4 if !all.is_empty() && !other.is_empty() => all[at] = *dice.one_of(&other),
            _ if !other.is_empty() => {
                let from = dice.below(other.len());
                let end = (from + dice.below(30)).min(other.len());
                drop(all.splice(at..at, other[from..end].iter().copied()));
            }
            _ => {}
        }
    }
    all.concat()
}
