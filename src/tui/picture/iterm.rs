//! Pictures as iTerm2 takes them: one PNG, scaled by the terminal into so many cells.

use super::kitty::base64;
use ratatui::layout::Rect;

/// The command that shows a picture where the cursor is.
pub fn picture(png: &[u8], rect: Rect) -> Vec<u8> {
    let size = format!("size={};width={};height={}", png.len(), rect.width, rect.height);
    format!("\x1b]1337;File=inline=1;preserveAspectRatio=1;{size}:{}\x07", base64(png)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_its_bytes_and_its_cells() {
        let command = picture(b"foobar", Rect::new(3, 4, 20, 10));
        let expected = "\x1b]1337;File=inline=1;preserveAspectRatio=1;size=6;width=20;height=10:Zm9vYmFy\x07";
        assert_eq!(String::from_utf8(command).unwrap(), expected);
    }
}
