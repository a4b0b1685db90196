//! iTerm2's graphics protocol. Pictures are sent as PNG and scaled to cells by the terminal.

use super::spec::{Driver, DriverSpec, PicturePart, RowPicture, Standing, go, row_area};
use crate::tui::picture::png::{base64, png};
use crate::tui::picture::{sample, stream};
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::layout::Rect;

/// The driver table's entry for iTerm2's protocol.
pub const SPEC: DriverSpec = DriverSpec {
    name: "iterm",
    summary: "iTerm2's protocol",
    suits: |_, environment, depth| depth != Depth::None && environment.iterm && !environment.tmux,
    driver: |_, _| DRIVER,
};

/// The driver for iTerm2's protocol.
pub const DRIVER: &dyn Driver = &Iterm;

/// Draws pictures with iTerm2's protocol.
#[derive(Debug)]
struct Iterm;

impl Driver for Iterm {
    fn name(&self) -> &'static str {
        "iTerm2"
    }

    fn standing(&self) -> Standing {
        Standing::Overlay
    }

    fn sized(&self, image: &RgbImage, pixels: (u32, u32)) -> Option<RgbImage> {
        Some(sample::sized(image, pixels))
    }

    fn encode(&self, image: &RgbImage, _: (u16, u16)) -> Vec<PicturePart> {
        vec![(0, png(&sample::light(image.clone())))]
    }

    fn commands(&self, parts: &[PicturePart], _: u32, rect: Rect) -> Vec<Vec<u8>> {
        parts.iter().map(|(_, png)| [go(rect.x, rect.y), picture(png, rect)].concat()).collect()
    }

    fn stream_row(&self, pictures: &[RowPicture<'_>], _: Depth) -> Vec<u8> {
        let one =
            |p: &RowPicture<'_>| (p.rect, picture(&png(&sample::light(sample::sized(p.image, p.pixels))), p.rect));
        stream::over_blanks(row_area(pictures).height, &pictures.iter().map(one).collect::<Vec<_>>())
    }
}

/// The command that shows a PNG at the cursor, scaled to `rect`.
fn picture(png: &[u8], rect: Rect) -> Vec<u8> {
    let size = format!("size={};width={};height={}", png.len(), rect.width, rect.height);
    format!("\x1b]1337;File=inline=1;preserveAspectRatio=1;{size}:{}\x07", base64(png)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_a_picture_states_its_size_in_bytes_and_cells() {
        let command = picture(b"foobar", Rect::new(3, 4, 20, 10));
        let expected = "\x1b]1337;File=inline=1;preserveAspectRatio=1;size=6;width=20;height=10:Zm9vYmFy\x07";
        assert_eq!(String::from_utf8(command).unwrap(), expected);
    }

    #[test]
    fn a_picture_in_a_stream_is_drawn_over_blank_rows() {
        let bytes = DRIVER.stream(&RgbImage::new(8, 8), Depth::True, Rect::new(0, 0, 6, 3), (48, 48), 0);
        let said = String::from_utf8(bytes).expect("commands are text");
        assert!(said.starts_with("\n\n\n\x1b[3A\x1b7\x1b]1337;File=") && said.ends_with("\x1b8\x1b[3B\r"), "{said:?}");
    }
}
