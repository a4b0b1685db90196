//! Checks the pages of a column before the library reads them, because the library trusts the sizes in their headers.

use super::thrift;
use anyhow::{Context, Result, ensure};

/// Maximum ratio of a page's size to the size of its Snappy stream: a copy of 64 bytes takes 3 bytes.
const RATIO: usize = 22;

/// Supported encodings, by their Parquet number: plain, dictionary (two numbers), run lengths.
const ENCODINGS: [i64; 4] = [0, 2, 8, 3];

/// The total uncompressed size of the pages of a column.
///
/// Errors if a header is damaged, or if a page claims an impossible size or number of values.
pub(super) fn check(mut bytes: &[u8], rows: usize, packed: bool) -> Result<usize> {
    let mut total = 0usize;
    while !bytes.is_empty() {
        let (header, length) = Header::parse(bytes).context("the header of a page is damaged")?;
        let (size, stored) = (header.size.unwrap_or(0), header.stored.unwrap_or(0));
        bytes = bytes.get(length..).and_then(|rest| rest.get(stored..)).context("a page is truncated")?;
        let most = if packed { stored.saturating_mul(RATIO).saturating_add(64) } else { stored };
        ensure!(size <= most, "a page of {stored} bytes claims {size} uncompressed bytes; the file is damaged");
        ensure!(header.values <= rows, "a page claims {} values for {rows} rows; the file is damaged", header.values);
        ensure!(
            header.entries <= size,
            "a dictionary of {size} bytes claims {} values; the file is damaged",
            header.entries
        );
        if let Some(encoding) = header.encoding {
            ensure!(
                ENCODINGS.contains(&encoding),
                "the file uses encoding {encoding}; save it with plain or dictionary encoding"
            );
        }
        total = total.saturating_add(size);
    }
    Ok(total)
}

/// The fields of a page header that are checked.
#[derive(Default)]
struct Header {
    /// Size in bytes, uncompressed and as stored.
    size: Option<usize>,
    stored: Option<usize>,
    /// Number of values in a data page.
    values: usize,
    /// Number of values in a dictionary page.
    entries: usize,
    encoding: Option<i64>,
}

impl Header {
    /// Parses the header at the beginning of `bytes`; also returns its length.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut header = Self::default();
        let mut valid = true;
        let length = thrift::integers(bytes, &mut |path, value| {
            let mut count = || usize::try_from(value).inspect_err(|_| valid = false).unwrap_or(0);
            match path {
                [2] => header.size = Some(count()),
                [3] => header.stored = Some(count()),
                [5 | 8, 1] => header.values = count(),
                [7, 1] => header.entries = count(),
                [5, 2] | [8, 4] => header.encoding = Some(value),
                _ => {}
            }
        })?;
        (valid && header.size.is_some() && header.stored.is_some()).then_some((header, length))
    }
}
