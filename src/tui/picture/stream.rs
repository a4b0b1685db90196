//! Writes pictures to a stream of text lines.

use crate::tui::theme::Depth;
use image::{DynamicImage, RgbImage};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::io;
use viuer::ViuError;

/// Prints a picture as half blocks, two pixels per cell, using viuer, which does not query the terminal when printing half blocks.
pub fn half_blocks(image: RgbImage, depth: Depth, rect: Rect) -> io::Result<()> {
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
    let image = DynamicImage::from(image);
    match viuer::print(&image, &config) {
        Ok(_) => Ok(()),
        Err(ViuError::Io(error)) => Err(error),
        Err(other) => Err(io::Error::other(other)),
    }
}

/// A 24-bit picture ID. It must be new, since reusing an ID would replace a picture from an earlier command.
pub fn id(number: u32) -> u32 {
    (std::process::id().wrapping_mul(0x9E37_79B1) >> 8).wrapping_add(number) & 0xff_ffff | 1 << 23
}

/// The bytes that draw pictures at their cells over blank rows and move the cursor below them. Terminals differ in where a
/// picture leaves the cursor.
pub fn over_blanks(rows: u16, pictures: &[(Rect, Vec<u8>)]) -> Vec<u8> {
    let (before, behind) = (format!("{}\x1b[{rows}A\x1b7", "\n".repeat(rows.into())), format!("\x1b8\x1b[{rows}B\r"));
    let moved = |by: u16, to: char| if by > 0 { format!("\x1b[{by}{to}") } else { String::new() };
    let mut all = before.into_bytes();
    for (i, (rect, bytes)) in pictures.iter().enumerate() {
        let back = if i > 0 { "\x1b8" } else { "" };
        all.extend(format!("{back}{}{}", moved(rect.y, 'B'), moved(rect.x, 'C')).bytes());
        all.extend(bytes);
    }
    all.extend(behind.bytes());
    all
}

/// Converts cells to lines of text, with escape codes at color changes.
pub fn lines(buf: &Buffer) -> String {
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

/// The escape code that sets a foreground and a background color.
fn codes((fg, bg): (Color, Color)) -> String {
    let all: Vec<_> = [code(fg, 30), code(bg, 40)].into_iter().flatten().collect();
    if all.is_empty() { "\x1b[0m".into() } else { format!("\x1b[{}m", all.join(";")) }
}

/// The SGR code of a color; `base` is 30 for the foreground and 40 for the background. `None` for the default color.
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

    #[test]
    fn pictures_side_by_side_begin_at_their_columns_and_end_on_the_same_row() {
        let pictures = [(Rect::new(0, 0, 4, 3), b"a".to_vec()), (Rect::new(6, 1, 4, 2), b"b".to_vec())];
        let bytes = String::from_utf8(over_blanks(3, &pictures)).unwrap();
        assert_eq!(bytes, "\n\n\n\x1b[3A\x1b7a\x1b8\x1b[1B\x1b[6Cb\x1b8\x1b[3B\r");
    }
}
