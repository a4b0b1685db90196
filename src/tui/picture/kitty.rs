//! Pictures by kitty's protocol: PNG at their own size, scaled by the terminal, placed at the cursor or by cells.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

/// How a picture is put on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// At the cursor, over the cells.
    Cursor,
    /// By cells that stand for it: they are moved, covered and cleared as text is.
    Cells,
}

/// Letters of base64 that one piece holds; a multiple of four.
const PIECE: usize = 4096;

/// The character that stands for a part of a picture.
const PLACEHOLDER: char = '\u{10EEEE}';

/// A picture as PNG, packed as well as takes no time that a person would feel.
pub fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Level(4), FilterType::Adaptive);
    let (width, height) = image.dimensions();
    encoder
        .write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8)
        .expect("a whole picture packs into memory");
    bytes
}

/// The commands that send a picture and show it in so many columns and rows, in this order and with no other of this protocol
/// between them. One at the cursor is shown where that is at the last of them.
pub fn pieces(id: u32, png: &[u8], rect: Rect, placing: Placing, tmux: bool) -> Vec<Vec<u8>> {
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

/// The command that takes a picture away and forgets it.
pub fn delete(id: u32, tmux: bool) -> Vec<u8> {
    command(&[format!("a=d,d=I,i={id},q=2").as_bytes()], tmux)
}

/// Fills a rectangle with the cells that stand for a picture.
pub fn placeholders(buf: &mut Buffer, rect: Rect, id: u32) {
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

/// Whether there are marks for so many columns and rows.
pub fn can_place(rect: Rect) -> bool {
    usize::from(rect.width.max(rect.height)) <= MARKS.len()
}

fn mark(n: u16) -> char {
    char::from_u32(MARKS[usize::from(n)]).unwrap_or(' ')
}

/// One command; inside tmux wrapped so that it passes through.
fn command(parts: &[&[u8]], tmux: bool) -> Vec<u8> {
    let (open, close): (&[u8], &[u8]) = match tmux {
        true => (b"\x1bPtmux;\x1b\x1b_G", b"\x1b\x1b\\\x1b\\"),
        false => (b"\x1b_G", b"\x1b\\"),
    };
    [&[open], parts, &[close]].concat().concat()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letter = |n: usize| char::from(LETTERS[(bits >> (18 - 6 * n) & 63) as usize]);
        (0..=three.len()).for_each(|n| text.push(letter(n)));
        (three.len()..3).for_each(|_| text.push('='));
    }
    text
}

/// Combining characters that count rows and columns (kitty's `rowcolumn-diacritics.txt`).
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
    fn base64_is_the_standard_one() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        assert!(cases.iter().all(|(plain, coded)| base64(plain.as_bytes()) == *coded));
    }

    #[test]
    fn a_small_picture_is_one_piece_that_says_so() {
        assert_eq!(sent(3, Placing::Cursor, false), "\x1b_Ga=T,i=77,p=1,C=1,q=2,f=100,c=60,r=30,m=0;////\x1b\\");
    }

    #[test]
    fn a_large_picture_comes_in_pieces() {
        let sent = sent(3072 * 2 + 1, Placing::Cells, false);
        let pieces: Vec<_> = sent.split("\x1b\\").filter(|p| !p.is_empty()).collect();
        assert_eq!(pieces.len(), 3);
        assert!(pieces[0].contains("U=1,q=2") && pieces[0].contains("m=1;") && pieces[1].starts_with("\x1b_Gq=2,m=1;"));
        assert_eq!(pieces[2], "\x1b_Gq=2,m=0;/w==");
    }

    #[test]
    fn tmux_lets_every_piece_through() {
        let sent = sent(3, Placing::Cells, true);
        assert!(sent.starts_with("\x1bPtmux;\x1b\x1b_Ga=T") && sent.ends_with("\x1b\x1b\\\x1b\\"));
    }

    #[test]
    fn cells_say_their_row_column_and_picture() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 4, 4));
        placeholders(&mut buf, Rect::new(1, 1, 2, 2), 0x01_02_03);
        let cell = &buf[(2, 1)];
        assert_eq!(cell.symbol(), "\u{10EEEE}\u{305}\u{30d}");
        assert_eq!(cell.fg, Color::Rgb(1, 2, 3));
        assert_eq!(buf[(3, 3)].symbol(), " ");
    }

    #[test]
    fn png_comes_back_as_it_was() {
        let image = RgbImage::from_fn(9, 5, |x, y| image::Rgb([x as u8, y as u8, 7]));
        assert_eq!(image::load_from_memory(&png(&image)).unwrap().to_rgb8(), image);
    }
}
