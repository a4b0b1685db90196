//! Pictures as lines of a stream: what an ordinary line of text can follow.

use super::{Painter, cells, encode, iterm, kitty, sixel};
use crate::tui::bounds::PIXELS;
use crate::tui::theme::Depth;
use image::{DynamicImage, RgbImage};
use kitty::Placing;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::io;
use viuer::ViuError;

/// The bytes that draw a picture in the columns and rows of `rect`, from the beginning of a line to that of the line below
/// it; `number` tells it from the others of this process.
pub fn picture(image: &RgbImage, painter: Painter, depth: Depth, rect: Rect, cell: (u16, u16), number: u32) -> Vec<u8> {
    let rect = Rect::new(0, 0, rect.width, rect.height);
    let side = |cells: u16, of: u16| (u32::from(cells) * u32::from(of)).min(PIXELS);
    let pixels = (side(rect.width, cell.0), side(rect.height, cell.1));
    let png = || kitty::png(&encode::light(encode::sized(image, pixels)));
    let pieces = |placing, tmux| kitty::pieces(id(number), &png(), rect, placing, tmux).concat();
    match painter {
        Painter::Nothing => vec![],
        Painter::Cells(blocks) => {
            let mut buf = Buffer::empty(rect);
            cells::paint(&mut buf, rect, image, blocks, depth);
            lines(&buf).into_bytes()
        }
        Painter::Kitty(placing, tmux) if placing == Placing::Cells && kitty::can_place(rect) => {
            let mut buf = Buffer::empty(rect);
            kitty::placeholders(&mut buf, rect, id(number));
            [pieces(placing, tmux), lines(&buf).into_bytes()].concat()
        }
        Painter::Kitty(_, tmux) => over_blanks(rect.height, &pieces(Placing::Cursor, tmux)),
        Painter::Iterm => over_blanks(rect.height, &iterm::picture(&png(), rect)),
        Painter::Sixel => over_blanks(rect.height, &sixel::encode(&encode::fitted(image, pixels))),
    }
}

/// Half blocks on stdout, drawn by viuer without asking the terminal anything.
pub fn half_blocks(image: &RgbImage, depth: Depth, rect: Rect) -> io::Result<()> {
    let (columns, rows) = (u32::from(rect.width), u32::from(rect.height));
    let config = viuer::Config {
        absolute_offset: false,
        width: Some(columns),
        height: Some(rows),
        truecolor: depth == Depth::True,
        use_kitty: false,
        use_iterm: false,
        ..viuer::Config::default()
    };
    let image = DynamicImage::from(encode::fitted(image, (columns, 2 * rows)));
    match viuer::print(&image, &config) {
        Ok(_) => Ok(()),
        Err(ViuError::Io(error)) => Err(error),
        Err(other) => Err(io::Error::other(other)),
    }
}

/// An id of kitty's protocol, of 24 bits. Pictures of earlier commands stay in the terminal, and one of the same id would take
/// their place.
fn id(number: u32) -> u32 {
    (std::process::id().wrapping_mul(0x9E37_79B1) >> 8).wrapping_add(number) & 0xff_ffff | 1 << 23
}

/// A picture over rows that are there already: where a terminal leaves the cursor behind a picture, each does as it likes.
fn over_blanks(rows: u16, picture: &[u8]) -> Vec<u8> {
    let (before, behind) = (format!("{}\x1b[{rows}A\x1b7", "\n".repeat(rows.into())), format!("\x1b8\x1b[{rows}B\r"));
    [before.as_bytes(), picture, behind.as_bytes()].concat()
}

/// Cells as lines, with codes where a colour changes, and none where there is no colour.
fn lines(buf: &Buffer) -> String {
    let mut text = String::new();
    for row in buf.content.chunks(usize::from(buf.area.width).max(1)) {
        let mut now = (Color::Reset, Color::Reset);
        let mut line = String::new();
        for cell in row {
            if (cell.fg, cell.bg) != now {
                now = (cell.fg, cell.bg);
                line += &codes(now);
            }
            line += cell.symbol();
        }
        match now {
            (Color::Reset, Color::Reset) => text += line.trim_end(),
            _ => text += &(line + "\x1b[0m"),
        }
        text.push('\n');
    }
    text
}

/// The code of a foreground and a background.
fn codes((fg, bg): (Color, Color)) -> String {
    let all: Vec<_> = [code(fg, 30), code(bg, 40)].into_iter().flatten().collect();
    if all.is_empty() { "\x1b[0m".into() } else { format!("\x1b[{}m", all.join(";")) }
}

/// One colour; `base` is 30 for a foreground and 40 for a background.
fn code(color: Color, base: u8) -> Option<String> {
    let number = match color {
        Color::Rgb(r, g, b) => return Some(format!("{};2;{r};{g};{b}", base + 8)),
        Color::Indexed(i) => return Some(format!("{};5;{i}", base + 8)),
        Color::Reset => return None,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
    };
    Some((base + number).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::Blocks;
    use image::Rgb;

    fn drawn(painter: Painter, depth: Depth) -> String {
        let image = RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8 * 36, y as u8 * 36, 90]));
        String::from_utf8(picture(&image, painter, depth, Rect::new(0, 0, 6, 3), (8, 16), 0)).unwrap()
    }

    #[test]
    fn cells_take_only_as_many_colours_as_there_are() {
        for blocks in [Blocks::Quadrant, Blocks::Half] {
            let [none, sixteen, indexed, all] =
                [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True].map(|d| drawn(Painter::Cells(blocks), d));
            assert!(!none.contains('\x1b') && none.lines().count() == 3, "{none:?}");
            assert!(sixteen.contains("\x1b[") && !sixteen.contains("8;2;") && !sixteen.contains("8;5;"), "{sixteen:?}");
            assert!(indexed.contains("38;5;") && !indexed.contains("8;2;"), "{indexed:?}");
            assert!(all.contains("38;2;") && all.lines().all(|line| line.ends_with("\x1b[0m")), "{all:?}");
        }
    }

    #[test]
    fn a_picture_by_a_protocol_stands_in_rows_that_were_made_for_it() {
        for (painter, open) in [
            (Painter::Kitty(Placing::Cursor, false), "\x1b_Ga=T"),
            (Painter::Iterm, "\x1b]1337;File="),
            (Painter::Sixel, "\x1bP0;1q"),
        ] {
            let said = drawn(painter, Depth::None);
            assert!(
                said.starts_with(&format!("\n\n\n\x1b[3A\x1b7{open}")) && said.ends_with("\x1b8\x1b[3B\r"),
                "{said:?}"
            );
            assert!(!said.contains("38;"), "no colour of text is changed");
        }
    }

    #[test]
    fn through_tmux_a_picture_is_cells_that_move_with_the_text() {
        let said = drawn(Painter::Kitty(Placing::Cells, true), Depth::True);
        assert!(said.starts_with("\x1bPtmux;\x1b\x1b_Ga=T"));
        assert_eq!(said.matches('\u{10EEEE}').count(), 18);
    }
}
