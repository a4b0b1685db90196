//! Conversion of YCbCr, CMYK and YCCK to RGB, with the integer arithmetic of libjpeg-turbo (`jdcolor.c`), followed by Pillow's
//! conversion from CMYK.

use libjpeg_turbo_rs::decode::marker::JpegMetadata;

/// Color space of a JPEG's components.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Space {
    Rgb,
    YCbCr,
    Cmyk,
    Ycck,
}

/// Converts three or four planes of equal size to interleaved RGB.
pub fn rgb(header: &JpegMetadata, planes: &[Vec<u8>]) -> Vec<u8> {
    let space = space(header);
    let pixel = |i: usize| {
        let [a, b, c] = [planes[0][i], planes[1][i], planes[2][i]];
        match space {
            Space::Rgb => [a, b, c],
            Space::YCbCr => from_ycc(a, b, c),
            Space::Cmyk => [a, b, c].map(|ink| with_key(ink, planes[3][i])),
            Space::Ycck => from_ycc(a, b, c).map(|ink| with_key(255 - ink, planes[3][i])),
        }
    };
    (0..planes[0].len()).flat_map(pixel).collect()
}

/// The color space of a JPEG file, chosen as in `default_decompress_parms` of `jdapimin.c`.
fn space(header: &JpegMetadata) -> Space {
    let ids: Vec<_> = header.frame.components.iter().map(|c| c.id).collect();
    match (&ids[..], header.adobe_transform_at_first_sos) {
        ([_, _, _, _], None | Some(0)) => Space::Cmyk,
        ([_, _, _, _], _) => Space::Ycck,
        _ if header.saw_jfif_marker_at_first_sos => Space::YCbCr,
        (_, Some(0)) | (b"RGB", None) => Space::Rgb,
        _ => Space::YCbCr,
    }
}

/// Converts a YCbCr pixel to RGB by ITU-R BT.601, full range, in fixed point with 16 fractional bits.
fn from_ycc(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let [y, cb, cr] = [i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128];
    let part = |sum: i32| (y + ((sum + 0x8000) >> 16)).clamp(0, 255) as u8;
    [part(91_881 * cr), part(-22_554 * cb - 46_802 * cr), part(116_130 * cb)]
}

/// Converts an ink value and the key (black), both stored inverted as in Adobe's files, to one RGB channel: `ink · key / 255`,
/// rounded as in Pillow.
fn with_key(ink: u8, key: u8) -> u8 {
    let (ink, key) = (i32::from(ink), i32::from(key));
    let product = (255 - ink) * key + 128;
    (key - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
}
