//! The terminal's clipboard, set by OSC 52, which also works over SSH.

use base64::prelude::{BASE64_STANDARD, Engine};
use std::io::{self, Write};

/// Maximum length of a text in bytes. Many terminals ignore longer ones.
pub const LONGEST: usize = 74_994;

/// Copies a text to the clipboard. Inside tmux, the sequence is passed through to the outer terminal as well, since tmux forwards it only if
/// `set-clipboard` is on.
pub fn copy(out: &mut impl Write, text: &str, tmux: bool) -> io::Result<()> {
    let sequence = format!("\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text));
    out.write_all(sequence.as_bytes())?;
    if tmux {
        write!(out, "\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_encoded_and_passed_through_tmux() {
        let sent = |text: &str, tmux| {
            let mut out = Vec::new();
            copy(&mut out, text, tmux).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(sent("a\tb\n", false), "\x1b]52;c;YQliCg==\x07");
        assert_eq!(sent("hi", true), "\x1b]52;c;aGk=\x07\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\");
    }
}
