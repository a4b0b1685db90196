//! Capabilities of the terminal, based on its responses and the environment.

use super::bounds;

/// Capabilities of the terminal, based on its responses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caps {
    /// Whether the terminal has responded.
    pub answered: bool,
    /// Name and version of the terminal, such as `kitty(0.41.1)`.
    pub name: String,
    /// Whether the terminal supports kitty's graphics protocol.
    pub kitty: bool,
    /// Whether the terminal supports sixels.
    pub sixel: bool,
    /// Cell size in pixels, if reported by the terminal.
    pub cell: Option<(u16, u16)>,
}

/// The environment in which the app runs, as determined from environment variables.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Environment {
    /// Whether the app runs inside tmux.
    pub tmux: bool,
    /// Whether the app runs over SSH.
    pub ssh: bool,
    /// Whether the terminal supports iTerm2's graphics protocol.
    pub iterm: bool,
}

/// Determines the environment from environment variables, which `var` looks up.
pub fn environment(var: impl Fn(&str) -> Option<String>) -> Environment {
    let term = var("TERM").unwrap_or_default();
    let tmux = var("TMUX").is_some_and(|v| !v.is_empty()) || term.starts_with("tmux") || term.starts_with("screen");
    Environment { tmux, ssh: var("SSH_CONNECTION").is_some(), iterm: !tmux && takes_iterm(var) }
}

/// Whether environment variables indicate a terminal that supports iTerm2's graphics protocol.
fn takes_iterm(var: impl Fn(&str) -> Option<String>) -> bool {
    let program = [var("TERM_PROGRAM"), var("LC_TERMINAL")].into_iter().flatten().collect::<String>();
    let known = ["iTerm", "WezTerm", "mintty", "rio", "WarpTerminal"].iter().any(|name| program.contains(name));
    known || var("KONSOLE_VERSION").is_some_and(|v| !v.is_empty())
}

/// Parses the terminal's responses to the queries. Every terminal responds to the last query.
pub fn parse(bytes: &[u8]) -> Caps {
    let text = String::from_utf8_lossy(bytes);
    let between = |open: &str, close: &str| {
        let from = text.find(open)? + open.len();
        Some(text[from..from + text[from..].find(close)?].to_owned()).filter(|answer| answer.len() < 200)
    };
    let attributes = between("\x1b[?", "c").unwrap_or_default();
    let size = between("\x1b[6;", "t").unwrap_or_default();
    let size: Vec<u16> = size.split(';').filter_map(|n| n.parse().ok()).collect();
    Caps {
        answered: !attributes.is_empty(),
        name: between("\x1bP>|", "\x1b\\").unwrap_or_default(),
        kitty: between("\x1b_Gi=31;", "\x1b\\").is_some_and(|answer| answer == "OK"),
        sixel: attributes.split(';').any(|a| a == "4"),
        cell: if let [height, width] = size[..] { bounds::cell(width, height) } else { None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITTY: &str = "\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.26.5)\x1b\\\x1b[6;18;9t\x1b[?62;c";

    #[test]
    fn implausible_cell_sizes_are_ignored() {
        let sizes =
            ["65535;65535", "-18;9", "18;-9", "0;0", "99999999999999999999;9", "18", "18;9;4", "", "a;b", "257;9"];
        for size in sizes {
            assert_eq!(parse(format!("\x1b[6;{size}t\x1b[?62;c").as_bytes()).cell, None, "{size}");
        }
        assert_eq!(parse(b"\x1b[6;256;128t\x1b[?62;c").cell, Some((128, 256)));
    }

    #[test]
    fn incomplete_answers_are_ignored() {
        let caps = parse(KITTY.as_bytes());
        assert_eq!((caps.kitty, caps.name.as_str(), caps.cell), (true, "kitty(0.26.5)", Some((9, 18))));
        for cut in 0..KITTY.len() - 1 {
            assert!(!parse(&KITTY.as_bytes()[..cut]).answered, "cut at {cut} it is not yet whole");
        }
    }

    #[test]
    fn support_for_iterm2_is_detected_from_the_environment() {
        let detected = |vars: &[(&str, &str)]| {
            environment(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).iterm
        };
        assert!(detected(&[("TERM_PROGRAM", "iTerm.app")]) && detected(&[("LC_TERMINAL", "iTerm2")]));
        assert!(detected(&[("KONSOLE_VERSION", "230801")]) && !detected(&[("KONSOLE_VERSION", "")]));
        assert!(!detected(&[("TERM_PROGRAM", "Apple_Terminal")]) && !detected(&[]));
        assert!(!detected(&[("TERM_PROGRAM", "iTerm.app"), ("TMUX", "/tmp/tmux-0/default,1,0")]));
    }
}
