//! What the terminal can do: asked once, before anything else reads its answers, with a time limit.

use super::picture::Painter;
use super::picture::cells::Blocks;
use super::picture::kitty::Placing;
use super::theme::Depth;
use std::time::Duration;

/// What the terminal says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caps {
    /// Whether it answered at all.
    pub answered: bool,
    /// Its name and version: `kitty(0.41.1)`.
    pub name: String,
    /// Whether it draws pictures by kitty's protocol.
    pub kitty: bool,
    /// Whether it draws sixels.
    pub sixel: bool,
    /// Width and height of a cell in pixels.
    pub cell: Option<(u16, u16)>,
}

/// Where the app runs, as the environment says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// Inside tmux.
    pub tmux: bool,
    /// At the other end of SSH.
    pub ssh: bool,
    /// In a terminal that takes iTerm2's pictures.
    pub iterm: bool,
}

/// Asks for a picture of kitty's protocol to be checked, the name, the size of a cell, and at last what every terminal
/// answers.
const QUESTIONS: &str = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>q\x1b[16t\x1b[c";

/// Inside tmux the first one must get through to the terminal around it.
const QUESTIONS_TMUX: &str = "\x1bPtmux;\x1b\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\x1b\\\x1b\\\x1b[16t\x1b[c";

/// The versions of kitty that draw pictures by cells.
const KITTY_WITH_CELLS: (u32, u32) = (0, 28);

/// What there is, as the environment says.
pub fn place(var: impl Fn(&str) -> Option<String>) -> Place {
    let term = var("TERM").unwrap_or_default();
    let tmux = var("TMUX").is_some_and(|v| !v.is_empty()) || term.starts_with("tmux") || term.starts_with("screen");
    Place { tmux, ssh: var("SSH_CONNECTION").is_some(), iterm: !tmux && viuer::is_iterm_supported() }
}

/// The best way to draw pictures here.
pub fn painter(caps: &Caps, place: Place, depth: Depth) -> Painter {
    match () {
        () if caps.kitty && has_cells(&caps.name) => Painter::Kitty(Placing::Cells, place.tmux),
        () if place.tmux => blocks(depth),
        () if caps.kitty => Painter::Kitty(Placing::Cursor, false),
        () if place.iterm => Painter::Iterm,
        () if caps.sixel => Painter::Sixel,
        () => blocks(depth),
    }
}

/// Blocks as fine as so many colours allow.
pub fn blocks(depth: Depth) -> Painter {
    Painter::Cells(match depth {
        Depth::None => Blocks::Letters,
        Depth::True => Blocks::Quadrant,
        Depth::Sixteen | Depth::Indexed => Blocks::Half,
    })
}

/// Reads the answers; the last one is the one that every terminal gives.
pub fn parse(bytes: &[u8]) -> Caps {
    let text = String::from_utf8_lossy(bytes);
    let between = |open: &str, close: &str| {
        let from = text.find(open)? + open.len();
        Some(text[from..from + text[from..].find(close)?].to_owned())
    };
    let attributes = between("\x1b[?", "c").unwrap_or_default();
    let size = between("\x1b[6;", "t").unwrap_or_default();
    let size: Vec<u16> = size.split(';').filter_map(|n| n.parse().ok()).filter(|n| *n > 0).collect();
    Caps {
        answered: !attributes.is_empty(),
        name: between("\x1bP>|", "\x1b\\").unwrap_or_default(),
        kitty: between("\x1b_Gi=31;", "\x1b\\").is_some_and(|answer| answer == "OK"),
        sixel: attributes.split(';').any(|a| a == "4"),
        cell: if let [height, width] = size[..] { Some((width, height)) } else { None },
    }
}

fn has_cells(name: &str) -> bool {
    let version = |name: &str| {
        let digits = name.strip_prefix("kitty(")?.trim_end_matches(')');
        let mut parts = digits.split('.').map_while(|n| n.parse().ok());
        Some((parts.next()?, parts.next()?))
    };
    name.to_lowercase().starts_with("ghostty") || version(name).is_some_and(|v: (u32, u32)| v >= KITTY_WITH_CELLS)
}

/// Asks the terminal, in raw mode, before anything else reads from it.
#[cfg(unix)]
pub fn ask(place: Place) -> Caps {
    use std::io::Write;
    let mut out = std::io::stdout();
    let questions = if place.tmux { QUESTIONS_TMUX } else { QUESTIONS };
    if out.write_all(questions.as_bytes()).and_then(|()| out.flush()).is_err() {
        return Caps::default();
    }
    let limit = Duration::from_millis(if place.ssh { 2500 } else { 1000 });
    let mut caps = parse(&read_until(limit, |bytes| parse(bytes).answered));
    if place.tmux {
        caps.sixel = false;
        caps.name = around_tmux();
    }
    caps
}

/// Elsewhere nothing is asked.
#[cfg(not(unix))]
pub fn ask(_: Place) -> Caps {
    Caps::default()
}

/// Reads raw bytes from the terminal until enough came or time is up.
#[cfg(unix)]
fn read_until(limit: Duration, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let start = std::time::Instant::now();
    let stdin = rustix::stdio::stdin();
    let mut bytes = Vec::new();
    while let Some(left) = limit.checked_sub(start.elapsed()).filter(|_| !enough(&bytes)) {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let Ok(left) = Timespec::try_from(left) else { break };
        let mut piece = [0; 512];
        match poll(&mut fds, Some(&left)).and_then(|n| if n > 0 { rustix::io::read(stdin, &mut piece) } else { Ok(0) })
        {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
    bytes
}

/// The terminal around tmux, if tmux lets pictures through to it.
#[cfg(unix)]
fn around_tmux() -> String {
    let format = "#{allow-passthrough} #{client_termtype}";
    let answer = std::process::Command::new("tmux").args(["display", "-p", format]).output();
    let answer = answer.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
    match answer.split_once(' ') {
        Some(("on" | "all", name)) => name.replace(' ', "(") + if name.contains('(') { "" } else { ")" },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITTY: &str = "\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.26.5)\x1b\\\x1b[6;18;9t\x1b[?62;c";

    fn of(answers: &str) -> Painter {
        painter(&parse(answers.as_bytes()), Place::default(), Depth::True)
    }

    #[test]
    fn answers_are_read_in_one_piece_or_not_at_all() {
        let caps = parse(KITTY.as_bytes());
        assert_eq!((caps.kitty, caps.name.as_str(), caps.cell), (true, "kitty(0.26.5)", Some((9, 18))));
        for cut in 0..KITTY.len() - 1 {
            assert!(!parse(&KITTY.as_bytes()[..cut]).answered, "cut at {cut} it is not yet whole");
        }
    }

    #[test]
    fn the_best_protocol_that_is_known_to_work_is_taken() {
        assert_eq!(of(KITTY), Painter::Kitty(Placing::Cursor, false), "kitty 0.26 shows boxes for cells");
        assert_eq!(of(&KITTY.replace("0.26.5", "0.41.1")), Painter::Kitty(Placing::Cells, false));
        assert_eq!(of("\x1bP>|XTerm(379)\x1b\\\x1b[?64;1;4;22c"), Painter::Sixel);
        assert_eq!(of("\x1b[?1;2c"), Painter::Cells(Blocks::Quadrant));
        assert_eq!(of(""), Painter::Cells(Blocks::Quadrant));
    }

    #[test]
    fn inside_tmux_only_what_passes_through_is_taken() {
        let tmux = Place { tmux: true, ..Place::default() };
        let sixel = Caps { sixel: true, answered: true, ..Caps::default() };
        assert_eq!(painter(&sixel, tmux, Depth::Indexed), Painter::Cells(Blocks::Half));
        let kitty = Caps { kitty: true, name: "kitty(0.41.1)".into(), ..sixel };
        assert_eq!(painter(&kitty, tmux, Depth::True), Painter::Kitty(Placing::Cells, true));
        let blocked = Caps { name: String::new(), ..kitty };
        assert_eq!(painter(&blocked, tmux, Depth::True), Painter::Cells(Blocks::Quadrant));
    }
}
