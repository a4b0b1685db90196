//! Kitty's graphics protocol. Pictures are sent as PNG, scaled by the terminal, and placed at the cursor or with placeholders.

use super::spec::{Driver, DriverSpec, PicturePart, RowPicture, Standing, go, row_area};
use crate::tui::picture::png::{base64, png};
use crate::tui::picture::{sample, stream};
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

/// The driver table's entry for kitty's protocol.
pub const SPEC: DriverSpec = DriverSpec {
    name: "kitty",
    summary: "Kitty's protocol",
    suits: |caps, environment, depth| {
        depth != Depth::None && caps.kitty && (has_placeholders(&caps.name) || !environment.tmux)
    },
    driver: |caps, environment| match (environment.tmux, has_placeholders(&caps.name)) {
        (true, _) => THROUGH_TMUX,
        (false, true) => PLACEHOLDERS,
        (false, false) => AT_CURSOR,
    },
};

/// The driver that places pictures at the cursor.
pub const AT_CURSOR: &dyn Driver = &Kitty { placing: Placing::Cursor, tmux: false };
/// The driver that places pictures with placeholders.
pub const PLACEHOLDERS: &dyn Driver = &Kitty { placing: Placing::Cells, tmux: false };
/// The driver that places pictures with placeholders and passes them through tmux to the outer terminal.
pub const THROUGH_TMUX: &dyn Driver = &Kitty { placing: Placing::Cells, tmux: true };

/// The first version of the terminal kitty that supports placeholders.
const WITH_PLACEHOLDERS: (u32, u32) = (0, 28);

/// Draws pictures with kitty's protocol.
#[derive(Debug)]
struct Kitty {
    placing: Placing,
    /// Whether commands are passed through tmux.
    tmux: bool,
}

/// How a picture is placed on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placing {
    /// The picture is drawn at the cursor, over the cells.
    Cursor,
    /// The picture is shown with placeholders: cells that are moved, covered and cleared like text.
    Cells,
}

impl Driver for Kitty {
    fn name(&self) -> &'static str {
        if self.tmux { "kitty through tmux" } else { "kitty" }
    }

    fn standing(&self) -> Standing {
        match self.placing {
            Placing::Cursor => Standing::Overlay,
            Placing::Cells => Standing::Placeholders,
        }
    }

    fn sized(&self, image: &RgbImage, pixels: (u32, u32)) -> Option<RgbImage> {
        Some(sample::sized(image, pixels))
    }

    fn encode(&self, image: &RgbImage, _: (u16, u16)) -> Vec<PicturePart> {
        vec![(0, png(&sample::light(image.clone())))]
    }

    fn commands(&self, parts: &[PicturePart], id: u32, rect: Rect) -> Vec<Vec<u8>> {
        let Some((_, png)) = parts.first() else { return Vec::new() };
        let to = if self.placing == Placing::Cursor { go(rect.x, rect.y) } else { Vec::new() };
        let pieces = pieces(id, png, rect, self.placing, self.tmux);
        pieces.into_iter().map(|bytes| [to.clone(), bytes].concat()).collect()
    }

    fn delete(&self, id: u32) -> Vec<u8> {
        delete(id, self.tmux)
    }

    fn removal(&self, id: u32) -> Vec<u8> {
        delete(id, false)
    }

    fn can_stand(&self, rect: Rect) -> bool {
        can_place(rect)
    }

    fn placeholders(&self, buf: &mut Buffer, rect: Rect, id: u32) {
        placeholders(buf, rect, id);
    }

    fn stream_row(&self, pictures: &[RowPicture<'_>], _: Depth) -> Vec<u8> {
        let one = |p: &RowPicture<'_>, placing| {
            let png = png(&sample::light(sample::sized(p.image, p.pixels)));
            (p.rect, pieces(p.id, &png, p.rect, placing, self.tmux).concat())
        };
        if self.placing == Placing::Cells && pictures.iter().all(|p| can_place(p.rect)) {
            let mut buf = Buffer::empty(row_area(pictures));
            pictures.iter().for_each(|p| placeholders(&mut buf, p.rect, p.id));
            let sent: Vec<_> = pictures.iter().flat_map(|p| one(p, Placing::Cells).1).collect();
            return [sent, stream::lines(&buf).into_bytes()].concat();
        }
        let all: Vec<_> = pictures.iter().map(|p| one(p, Placing::Cursor)).collect();
        stream::over_blanks(row_area(pictures).height, &all)
    }
}

/// Whether a terminal with this name and version, such as `kitty(0.41.1)`, supports placeholders.
fn has_placeholders(name: &str) -> bool {
    let version = |name: &str| {
        let digits = name.strip_prefix("kitty(")?.trim_end_matches(')');
        let mut parts = digits.split('.').map_while(|n| n.parse().ok());
        Some((parts.next()?, parts.next()?))
    };
    name.to_lowercase().starts_with("ghostty") || version(name).is_some_and(|v: (u32, u32)| v >= WITH_PLACEHOLDERS)
}

/// Number of base64 characters per chunk of a picture, a multiple of four.
const PIECE: usize = 4096;

/// The placeholder character defined by kitty's protocol.
const PLACEHOLDER: char = '\u{10EEEE}';

/// The commands that send a picture and show it in the columns and rows of `rect`. They must not be interleaved with other
/// commands of the protocol. With [`Placing::Cursor`], the picture appears at the cursor position of the last command.
fn pieces(id: u32, png: &[u8], rect: Rect, placing: Placing, tmux: bool) -> Vec<Vec<u8>> {
    let place = match placing {
        Placing::Cursor => "p=1,C=1",
        Placing::Cells => "U=1",
    };
    let data = base64(png);
    let mut pieces = data.as_bytes().chunks(PIECE).peekable();
    let mut head = format!("a=T,i={id},{place},q=2,f=100,c={},r={},", rect.width, rect.height);
    let mut commands = Vec::new();
    while let Some(piece) = pieces.next() {
        let more = u8::from(pieces.peek().is_some());
        commands.push(command(&[head.as_bytes(), format!("m={more};").as_bytes(), piece], tmux));
        head = "q=2,".into();
    }
    commands
}

/// The command that deletes a picture and its data.
fn delete(id: u32, tmux: bool) -> Vec<u8> {
    command(&[format!("a=d,d=I,i={id},q=2").as_bytes()], tmux)
}

/// Fills the cells of a rectangle with the placeholders of a picture.
fn placeholders(buf: &mut Buffer, rect: Rect, id: u32) {
    let [_, r, g, b] = id.to_be_bytes();
    let style = Style::new().fg(Color::Rgb(r, g, b));
    for y in 0..rect.height {
        for x in 0..rect.width {
            let symbol: String = [PLACEHOLDER, mark(y), mark(x)].iter().collect();
            if let Some(cell) = buf.cell_mut((rect.x + x, rect.y + y)) {
                cell.set_symbol(&symbol).set_style(style);
            }
        }
    }
}

/// Whether there are enough diacritics to encode the columns and rows of a rectangle.
fn can_place(rect: Rect) -> bool {
    usize::from(rect.width.max(rect.height)) <= MARKS.len()
}

fn mark(n: u16) -> char {
    char::from_u32(MARKS[usize::from(n)]).unwrap_or(' ')
}

/// A command of kitty's protocol that consists of `parts`, wrapped for passing through tmux if `tmux` is true.
fn command(parts: &[&[u8]], tmux: bool) -> Vec<u8> {
    let (open, close): (&[u8], &[u8]) = match tmux {
        true => (b"\x1bPtmux;\x1b\x1b_G", b"\x1b\x1b\\\x1b\\"),
        false => (b"\x1b_G", b"\x1b\\"),
    };
    [&[open], parts, &[close]].concat().concat()
}

/// Diacritics that encode the numbers of rows and columns in placeholders (kitty's `rowcolumn-diacritics.txt`).
#[rustfmt::skip]
const MARKS: [u32; 197] = [
    0x0305, 0x030d, 0x030e, 0x0310, 0x0312, 0x033d, 0x033e, 0x033f, 0x0346, 0x034a, 0x034b, 0x034c, 0x0350, 0x0351, 0x0352, 0x0357,
    0x035b, 0x0363, 0x0364, 0x0365, 0x0366, 0x0367, 0x0368, 0x0369, 0x036a, 0x036b, 0x036c, 0x036d, 0x036e, 0x036f, 0x0483, 0x0484,
    0x0485, 0x0486, 0x0487, 0x0592, 0x0593, 0x0594, 0x0595, 0x0597, 0x0598, 0x0599, 0x059c, 0x059d, 0x059e, 0x059f, 0x05a0, 0x05a1,
    0x05a8, 0x05a9, 0x05ab, 0x05ac, 0x05af, 0x05c4, 0x0610, 0x0611, 0x0612, 0x0613, 0x0614, 0x0615, 0x0616, 0x0617, 0x0657, 0x0658,
    0x0659, 0x065a, 0x065b, 0x065d, 0x065e, 0x06d6, 0x06d7, 0x06d8, 0x06d9, 0x06da, 0x06db, 0x06dc, 0x06df, 0x06e0, 0x06e1, 0x06e2,
    0x06e4, 0x06e7, 0x06e8, 0x06eb, 0x06ec, 0x0730, 0x0732, 0x0733, 0x0735, 0x0736, 0x073a, 0x073d, 0x073f, 0x0740, 0x0741, 0x0743,
    0x0745, 0x0747, 0x0749, 0x074a, 0x07eb, 0x07ec, 0x07ed, 0x07ee, 0x07ef, 0x07f0, 0x07f1, 0x07f3, 0x0816, 0x0817, 0x0818, 0x0819,
    0x081b, 0x081c, 0x081d, 0x081e, 0x081f, 0x0820, 0x0821, 0x0822, 0x0823, 0x0825, 0x0826, 0x0827, 0x0829, 0x082a, 0x082b, 0x082c,
    0x082d, 0x0951, 0x0953, 0x0954, 0x0f82, 0x0f83, 0x0f86, 0x0f87, 0x135d, 0x135e, 0x135f, 0x17dd, 0x193a, 0x1a17, 0x1a75, 0x1a76,
    0x1a77, 0x1a78, 0x1a79, 0x1a7a, 0x1a7b, 0x1a7c, 0x1b6b, 0x1b6d, 0x1b6e, 0x1b6f, 0x1b70, 0x1b71, 0x1b72, 0x1b73, 0x1cd0, 0x1cd1,
    0x1cd2, 0x1cda, 0x1cdb, 0x1ce0, 0x1dc0, 0x1dc1, 0x1dc3, 0x1dc4, 0x1dc5, 0x1dc6, 0x1dc7, 0x1dc8, 0x1dc9, 0x1dcb, 0x1dcc, 0x1dd1,
    0x1dd2, 0x1dd3, 0x1dd4, 0x1dd5, 0x1dd6, 0x1dd7, 0x1dd8, 0x1dd9, 0x1dda, 0x1ddb, 0x1ddc, 0x1ddd, 0x1dde, 0x1ddf, 0x1de0, 0x1de1,
    0x1de2, 0x1de3, 0x1de4, 0x1de5, 0x1de6,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(bytes: usize, placing: Placing, tmux: bool) -> String {
        String::from_utf8(pieces(77, &vec![0xff; bytes], Rect::new(0, 0, 60, 30), placing, tmux).concat()).unwrap()
    }

    #[test]
    fn a_small_picture_is_a_single_final_chunk() {
        assert_eq!(sent(3, Placing::Cursor, false), "\x1b_Ga=T,i=77,p=1,C=1,q=2,f=100,c=60,r=30,m=0;////\x1b\\");
    }

    #[test]
    fn a_large_picture_is_split_into_chunks() {
        let sent = sent(3072 * 2 + 1, Placing::Cells, false);
        let pieces: Vec<_> = sent.split("\x1b\\").filter(|p| !p.is_empty()).collect();
        assert_eq!(pieces.len(), 3);
        assert!(pieces[0].contains("U=1,q=2") && pieces[0].contains("m=1;") && pieces[1].starts_with("\x1b_Gq=2,m=1;"));
        assert_eq!(pieces[2], "\x1b_Gq=2,m=0;/w==");
    }

    #[test]
    fn every_chunk_is_wrapped_for_tmux() {
        let sent = sent(3, Placing::Cells, true);
        assert!(sent.starts_with("\x1bPtmux;\x1b\x1b_Ga=T") && sent.ends_with("\x1b\x1b\\\x1b\\"));
    }

    #[test]
    fn cells_encode_their_row_column_and_picture() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 4, 4));
        placeholders(&mut buf, Rect::new(1, 1, 2, 2), 0x01_02_03);
        let cell = &buf[(2, 1)];
        assert_eq!(cell.symbol(), "\u{10EEEE}\u{305}\u{30d}");
        assert_eq!(cell.fg, Color::Rgb(1, 2, 3));
        assert_eq!(buf[(3, 3)].symbol(), " ");
    }

    #[test]
    fn a_picture_in_a_stream_is_drawn_over_blank_rows() {
        let image = RgbImage::new(8, 8);
        let said = |driver: &dyn Driver| {
            let bytes = driver.stream(&image, Depth::True, Rect::new(0, 0, 6, 3), (48, 48), 0);
            String::from_utf8(bytes).expect("commands are text")
        };
        let at_cursor = said(AT_CURSOR);
        assert!(at_cursor.starts_with("\n\n\n\x1b[3A\x1b7\x1b_Ga=T") && at_cursor.ends_with("\x1b8\x1b[3B\r"));
        assert!(!at_cursor.contains("38;"), "no color of text is changed");
        let in_tmux = said(THROUGH_TMUX);
        assert!(in_tmux.starts_with("\x1bPtmux;\x1b\x1b_Ga=T"));
        assert_eq!(in_tmux.matches('\u{10EEEE}').count(), 18, "placeholders move with the text");
    }
}
