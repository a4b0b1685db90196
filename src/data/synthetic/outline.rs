//! Outlines of ten kinds of objects, and of small fragments that belong to no class.

use super::pen::PenPoint;
use super::random::Random;
use std::f32::consts::{PI, TAU};

/// Names of the classes, one per kind of object.
pub const KINDS: [&str; 10] =
    ["disc", "square", "triangle", "star", "cross", "ring", "crescent", "heart", "arrow", "bolt"];

/// Outlines of an object of class `kind` within the unit circle; if there is a second, inner outline, it is a hole.
pub fn outlines(kind: usize) -> Vec<Vec<PenPoint>> {
    match KINDS[kind] {
        "disc" => vec![circle(0.92)],
        "square" => vec![corners(4, 1.0, PI / 4.0)],
        "triangle" => vec![corners(3, 1.0, -PI / 2.0)],
        "star" => vec![(0..10).map(|i| polar([1.0, 0.42][i % 2], i as f32 * PI / 5.0 - PI / 2.0)).collect()],
        "cross" => vec![cross(0.31, 0.95)],
        "ring" => vec![circle(0.95), circle(0.55)],
        "crescent" => vec![crescent()],
        "heart" => vec![(0..40).map(|i| heart(i as f32 * TAU / 40.0)).collect()],
        "arrow" => vec![ARROW.to_vec()],
        _ => vec![BOLT.to_vec()],
    }
}

/// The area inside the outlines of class `kind`.
pub fn area(kind: usize) -> f32 {
    let enclosed = |outline: &Vec<PenPoint>| {
        let edges = outline.iter().zip(outline.iter().cycle().skip(1));
        edges.map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>().abs() / 2.0
    };
    let outlines = outlines(kind);
    outlines.iter().skip(1).fold(enclosed(&outlines[0]), |area, hole| area - enclosed(hole))
}

/// A small fragment: a thin quadrilateral or an irregular polygon.
pub fn crumb(random: &mut Random) -> Vec<PenPoint> {
    if random.chance(0.5) {
        let (long, thin) = (random.within(0.8..1.0), random.within(0.15..0.3));
        return vec![[-long, -thin], [long, -thin * random.within(0.3..1.0)], [long, thin], [-long, thin]];
    }
    let corners = 4 + random.below(4);
    (0..corners)
        .map(|i| polar(random.within(0.45..1.0), (i as f32 + random.within(0.0..0.7)) * TAU / corners as f32))
        .collect()
}

const ARROW: [PenPoint; 7] =
    [[-0.95, -0.22], [0.1, -0.22], [0.1, -0.68], [0.98, 0.0], [0.1, 0.68], [0.1, 0.22], [-0.95, 0.22]];

const BOLT: [PenPoint; 6] = [[0.25, -1.0], [-0.55, 0.12], [-0.05, 0.12], [-0.3, 1.0], [0.55, -0.22], [0.05, -0.22]];

fn polar(radius: f32, angle: f32) -> PenPoint {
    [radius * angle.cos(), radius * angle.sin()]
}

fn corners(count: usize, radius: f32, first: f32) -> Vec<PenPoint> {
    (0..count).map(|i| polar(radius, first + i as f32 * TAU / count as f32)).collect()
}

fn circle(radius: f32) -> Vec<PenPoint> {
    corners(36, radius, 0.0)
}

fn cross(thin: f32, long: f32) -> Vec<PenPoint> {
    let arm = [[thin, -long], [thin, -thin], [long, -thin]];
    let turned = |quarter: i32, [x, y]: PenPoint| match quarter {
        0 => [x, y],
        1 => [-y, x],
        2 => [-x, -y],
        _ => [y, -x],
    };
    (0..4).flat_map(|q| arm.map(|p| turned(q, p))).collect()
}

/// A crescent: along the outer circle from tip to tip, then back along a circle shifted to the right.
fn crescent() -> Vec<PenPoint> {
    let (shift, radius) = (0.5f32, 0.78f32);
    let across = (1.0 + shift * shift - radius * radius) / (2.0 * shift);
    let (outer, inner) = (across.acos(), ((across - shift) / radius).acos());
    let rim = (0..=24).map(|i| polar(1.0, outer + (TAU - 2.0 * outer) * i as f32 / 24.0));
    let back = (1..24).map(|i| polar(radius, TAU - inner - (TAU - 2.0 * inner) * i as f32 / 24.0));
    rim.chain(back.map(|[x, y]| [x + shift, y])).map(|[x, y]| [x + 0.15, y]).collect()
}

/// The heart curve `16 sin³ t, 13 cos t − 5 cos 2t − 2 cos 3t − cos 4t`, scaled to the unit circle.
fn heart(t: f32) -> PenPoint {
    let y = 13.0 * t.cos() - 5.0 * (2.0 * t).cos() - 2.0 * (3.0 * t).cos() - (4.0 * t).cos();
    [16.0 * t.sin().powi(3) / 17.0, -(y + 2.5) / 17.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_exclude_holes() {
        let (disc, square, ring) = (area(0), area(1), area(5));
        assert!((disc - PI * 0.92 * 0.92).abs() < 0.02 && (square - 2.0).abs() < 1e-5);
        assert!((ring - PI * (0.95 * 0.95 - 0.55 * 0.55)).abs() < 0.02, "{ring}");
    }
}
