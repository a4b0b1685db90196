//! What the terminal can do, for the app and `gradscope run` alike: asked once, before anything else reads its answers, with a time
//! limit.

use super::Graphics;
use super::bounds;
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

/// Bytes that are read in search of answers; what a person typed meanwhile may stand before them.
#[cfg(unix)]
const ANSWERS: usize = 1 << 16;

/// The versions of kitty that draw pictures by cells.
const KITTY_WITH_CELLS: (u32, u32) = (0, 28);

/// What there is, as the environment says.
pub fn place(var: impl Fn(&str) -> Option<String>) -> Place {
    let term = var("TERM").unwrap_or_default();
    let tmux = var("TMUX").is_some_and(|v| !v.is_empty()) || term.starts_with("tmux") || term.starts_with("screen");
    Place { tmux, ssh: var("SSH_CONNECTION").is_some(), iterm: !tmux && takes_iterm(var) }
}

/// Whether the terminal names itself as one that takes iTerm2's pictures.
fn takes_iterm(var: impl Fn(&str) -> Option<String>) -> bool {
    let program = [var("TERM_PROGRAM"), var("LC_TERMINAL")].into_iter().flatten().collect::<String>();
    let known = ["iTerm", "WezTerm", "mintty", "rio", "WarpTerminal"].iter().any(|name| program.contains(name));
    known || var("KONSOLE_VERSION").is_some_and(|v| !v.is_empty())
}

/// Whether the answer to how pictures are drawn needs the terminal's: not where `wish` gives it, nor without colours.
pub fn depends_on_terminal(wish: Graphics, depth: Depth) -> bool {
    wish == Graphics::Auto && depth != Depth::None
}

/// How pictures are drawn: as wished for, or the best that the terminal can do.
pub fn wished(wish: Graphics, caps: &Caps, place: Place, depth: Depth) -> Painter {
    match wish {
        Graphics::Auto => painter(caps, place, depth),
        Graphics::Kitty if place.tmux => Painter::Kitty(Placing::Cells, true),
        Graphics::Kitty if has_cells(&caps.name) => Painter::Kitty(Placing::Cells, false),
        Graphics::Kitty => Painter::Kitty(Placing::Cursor, false),
        Graphics::Iterm => Painter::Iterm,
        Graphics::Sixel => Painter::Sixel,
        Graphics::Blocks => Painter::Cells(Blocks::Quadrant),
        Graphics::Half => Painter::Cells(Blocks::Half),
        Graphics::Letters => Painter::Cells(Blocks::Letters),
        Graphics::Nothing => Painter::Nothing,
    }
}

/// The best way to draw pictures here; without colours that is letters.
pub fn painter(caps: &Caps, place: Place, depth: Depth) -> Painter {
    match () {
        () if depth == Depth::None => blocks(depth),
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

fn has_cells(name: &str) -> bool {
    let version = |name: &str| {
        let digits = name.strip_prefix("kitty(")?.trim_end_matches(')');
        let mut parts = digits.split('.').map_while(|n| n.parse().ok());
        Some((parts.next()?, parts.next()?))
    };
    name.to_lowercase().starts_with("ghostty") || version(name).is_some_and(|v: (u32, u32)| v >= KITTY_WITH_CELLS)
}

/// Asks the terminal, before anything else reads from it. A terminal that cannot be read, or that has another process in its
/// foreground, is not asked.
#[cfg(unix)]
pub fn ask(place: Place) -> Caps {
    use std::io::Write;
    let Some(raw) = Raw::enter() else { return Caps::default() };
    let mut out = std::io::stdout();
    let questions = if place.tmux { QUESTIONS_TMUX } else { QUESTIONS };
    if out.write_all(questions.as_bytes()).and_then(|()| out.flush()).is_err() {
        return Caps::default();
    }
    let limit = Duration::from_millis(if place.ssh { 2500 } else { 1000 });
    let mut caps = parse(&raw.read_until(limit, |bytes| parse(bytes).answered));
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

/// The terminal whose answers are read, in raw mode as long as this lives: they are not echoed.
#[cfg(unix)]
struct Raw {
    input: std::os::fd::BorrowedFd<'static>,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Raw {
    /// stdin, or the terminal that stdout is.
    fn enter() -> Option<Self> {
        use rustix::termios::{OptionalActions, isatty, tcgetattr, tcgetpgrp, tcsetattr};
        let ends = [rustix::stdio::stdin(), rustix::stdio::stdout()];
        let input = ends.into_iter().find(|end| isatty(end))?;
        // Whoever touches a terminal from its background is stopped.
        if tcgetpgrp(input).is_ok_and(|group| group != rustix::process::getpgrp()) {
            return None;
        }
        let before = tcgetattr(input).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(input, OptionalActions::Now, &raw).ok()?;
        Some(Self { input, before })
    }

    /// Reads until enough came or time is up.
    fn read_until(&self, limit: Duration, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let start = std::time::Instant::now();
        let mut bytes = Vec::new();
        while let Some(left) = limit.checked_sub(start.elapsed()).filter(|_| !enough(&bytes)) {
            let mut fds = [PollFd::new(&self.input, PollFlags::IN)];
            let Ok(left) = Timespec::try_from(left) else { break };
            let mut piece = [0; 512];
            let came = poll(&mut fds, Some(&left));
            match came.and_then(|n| if n > 0 { rustix::io::read(self.input, &mut piece) } else { Ok(0) }) {
                Ok(0) | Err(_) => break,
                Ok(count) => bytes.extend_from_slice(&piece[..count]),
            }
            // Whoever says so much is not answering.
            if bytes.len() > ANSWERS {
                break;
            }
        }
        bytes
    }
}

#[cfg(unix)]
impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone has nothing to be given back.
        let _ = rustix::termios::tcsetattr(self.input, rustix::termios::OptionalActions::Now, &self.before);
    }
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
    fn a_cell_that_cannot_be_is_not_believed() {
        let sizes =
            ["65535;65535", "-18;9", "18;-9", "0;0", "99999999999999999999;9", "18", "18;9;4", "", "a;b", "257;9"];
        for size in sizes {
            assert_eq!(parse(format!("\x1b[6;{size}t\x1b[?62;c").as_bytes()).cell, None, "{size}");
        }
        assert_eq!(parse(b"\x1b[6;256;128t\x1b[?62;c").cell, Some((128, 256)));
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
    fn a_wish_holds_whatever_the_terminal_says_of_itself() {
        let silent = Caps::default();
        for (wish, painter) in [
            (Graphics::Kitty, Painter::Kitty(Placing::Cursor, false)),
            (Graphics::Iterm, Painter::Iterm),
            (Graphics::Sixel, Painter::Sixel),
            (Graphics::Blocks, Painter::Cells(Blocks::Quadrant)),
            (Graphics::Half, Painter::Cells(Blocks::Half)),
            (Graphics::Letters, Painter::Cells(Blocks::Letters)),
            (Graphics::Nothing, Painter::Nothing),
        ] {
            for depth in [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True] {
                assert_eq!(wished(wish, &silent, Place::default(), depth), painter);
                assert!(!depends_on_terminal(wish, depth));
            }
        }
        assert!(
            depends_on_terminal(Graphics::Auto, Depth::Sixteen) && !depends_on_terminal(Graphics::Auto, Depth::None)
        );
    }

    #[test]
    fn without_colours_pictures_are_letters_whatever_the_terminal_can_do() {
        let letters = Painter::Cells(Blocks::Letters);
        assert_eq!(painter(&parse(KITTY.as_bytes()), Place::default(), Depth::None), letters);
        assert_eq!(painter(&Caps::default(), Place { iterm: true, ..Place::default() }, Depth::None), letters);
    }

    #[test]
    fn terminals_that_take_iterms_pictures_say_so_in_the_environment() {
        let place = |vars: &[(&str, &str)]| {
            place(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).iterm
        };
        assert!(place(&[("TERM_PROGRAM", "iTerm.app")]) && place(&[("LC_TERMINAL", "iTerm2")]));
        assert!(place(&[("KONSOLE_VERSION", "230801")]) && !place(&[("KONSOLE_VERSION", "")]));
        assert!(!place(&[("TERM_PROGRAM", "Apple_Terminal")]) && !place(&[]));
        assert!(!place(&[("TERM_PROGRAM", "iTerm.app"), ("TMUX", "/tmp/tmux-0/default,1,0")]));
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
