//! HTTP responses of hubs: headers, contents and errors.

use std::fmt;
use std::io::Read;

/// The headers of a file on the Hugging Face hub.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The commit that the revision refers to.
    pub commit: Option<String>,
    /// The hash that identifies the contents.
    pub etag: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
}

/// The contents of a file.
pub struct Body {
    /// Byte offset of the contents in the file; 0 if the server ignored the requested offset.
    pub start: u64,
    /// Size of the complete file in bytes, if known.
    pub total: Option<u64>,
    /// The contents.
    pub reader: Box<dyn Read + Send>,
}

/// Why a request returned no file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "hub"), allow(dead_code))]
pub enum Refusal {
    /// The server responded with an error.
    Status {
        /// The HTTP status, such as 404.
        status: u16,
        /// The hub's name for the error, such as `RepoNotFound`; empty if there is none.
        code: String,
    },
    /// No usable response arrived, for this reason.
    Unreachable(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, .. } => write!(f, "the server answered with status {status}"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refusal {}
