//! When pictures are sent to the terminal, kept, and removed.

use crate::session::*;
use gradscope::render::{Array, Body, Colormap, Figure};
use gradscope::tui::picture::driver::{cells, kitty, sixel};
use gradscope::tui::picture::{PictureStage, Placement, WantedPictures, start};
use gradscope::tui::state::{Lens, State, VisibleFigure};
use gradscope::tui::theme::Theme;
use gradscope::tui::{Depth, draw};
use gradscope::worker::message::Update;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;

/// Draws one frame; returns its cells, and the bytes sent for pictures.
fn frame(state: &State, stage: &mut PictureStage) -> (Buffer, String) {
    let mut buf = Buffer::empty(Rect::new(0, 0, state.size.0, state.size.1));
    draw::frame(&mut buf, state, &Theme::new(Depth::True), stage);
    let mut sent = Vec::new();
    stage.emit(&mut sent, usize::MAX).expect("memory takes all");
    (buf, String::from_utf8(sent).expect("pictures are sent as text"))
}

fn classic() -> PictureStage {
    PictureStage::still(kitty::AT_CURSOR, Depth::True, (8, 16))
}

fn skipped(buf: &Buffer) -> usize {
    buf.content.iter().filter(|c| c.diff_option == CellDiffOption::Skip).count()
}

#[test]
fn a_picture_is_sent_only_once() {
    let (state, mut stage) = (opened(140, 40), classic());
    let (first, sent) = frame(&state, &mut stage);
    assert_eq!(
        (sent.matches("a=T").count(), skipped(&first)),
        (2, 0),
        "blanks first, the map and the input after them"
    );
    let (second, sent) = frame(&state, &mut stage);
    assert!(sent.is_empty() && skipped(&second) > 100);
}

#[test]
fn a_new_picture_replaces_the_old_one() {
    let (mut state, mut stage) = (opened(140, 40), classic());
    frame(&state, &mut stage);
    tell(&mut state, Update::Frame(map_frame(0)));
    let (buf, sent) = frame(&state, &mut stage);
    assert!(sent.contains("a=T") && !sent.contains("a=d") && skipped(&buf) > 100, "the old one stays until then");
}

/// Draws one frame with `room` bytes for pictures.
fn cramped(state: &State, stage: &mut PictureStage, room: usize) -> String {
    let mut buf = Buffer::empty(Rect::new(0, 0, state.size.0, state.size.1));
    draw::frame(&mut buf, state, &Theme::new(Depth::True), stage);
    let mut sent = Vec::new();
    stage.emit(&mut sent, room).expect("memory takes all");
    String::from_utf8(sent).expect("pictures are sent as text")
}

#[test]
fn a_picture_respects_the_bandwidth_and_ends_before_the_next_begins() {
    let (mut state, mut stage) = (attacked(140, 40, 2), classic());
    let mut sent = vec![cramped(&state, &mut stage, 1)];
    assert_eq!(cramped(&state, &mut stage, 0), "");
    assert!(stage.has_more());
    tell(&mut state, Update::Frame(step_frame(0, 3, 4)));
    while stage.has_more() {
        sent.push(cramped(&state, &mut stage, 1));
        assert!(sent.len() < 100, "it ends");
    }
    assert!(sent.iter().all(|piece| piece.matches("\x1b_G").count() == 1), "one command is the least");
    let ends = |text: &str| text.contains("m=0;");
    let begins: Vec<_> = (0..sent.len()).filter(|&i| sent[i].contains("a=T")).collect();
    assert!(begins.len() >= 2 && begins.iter().all(|&i| i == 0 || ends(&sent[i - 1])));
}

#[test]
fn picture_cells_are_drawn_row_by_row_and_text_at_once() {
    let mut stage = PictureStage::still(cells::HALVES, Depth::True, (8, 16));
    let state = opened(140, 40);
    let mut screen = Buffer::empty(Rect::new(0, 0, 140, 40));
    let mut frames = 0;
    loop {
        let mut buf = Buffer::empty(screen.area);
        draw::frame(&mut buf, &state, &Theme::new(Depth::True), &mut stage);
        let whole = buf.clone();
        let held = stage.hold_back(&mut buf, &screen, 8000);
        let blocks = screen.diff(&buf).iter().filter(|(_, _, cell)| cell.symbol() == "▀").count();
        assert!(blocks <= 200 + 64, "{blocks}: 200 of the picture, and the bar of its colors");
        assert_eq!(buf[(3, 0)], whole[(3, 0)], "the header is there");
        screen = buf;
        frames += 1;
        if !held {
            assert_eq!(screen, whole);
            break;
        }
    }
    assert!(frames > 2, "{frames}");
}

#[test]
fn a_covered_picture_is_removed_drawn_as_blocks_and_sent_again() {
    let (mut state, mut stage) = (opened(140, 40), classic());
    frame(&state, &mut stage);
    press(&mut state, "t");
    let (buf, sent) = frame(&state, &mut stage);
    assert!(sent.contains("a=d,d=I") && skipped(&buf) == 0);
    assert!(buf.content.iter().any(|c| matches!(c.bg, ratatui::style::Color::Rgb(..))), "blocks stand in for it");
    press(&mut state, "Esc");
    assert!(frame(&state, &mut stage).1.contains("a=T"));
}

#[test]
fn a_picture_no_longer_shown_is_removed() {
    let (mut state, mut stage) = (attacked(140, 40, 2), classic());
    assert_eq!(frame(&state, &mut stage).1.matches("a=T").count(), 3);
    press(&mut state, "6 z");
    assert_eq!(frame(&state, &mut stage).1.matches("a=d").count(), 3);
}

#[test]
fn a_resized_terminal_gets_its_pictures_again() {
    let (mut state, mut stage) = (opened(140, 40), classic());
    frame(&state, &mut stage);
    state.size = (100, 30);
    stage.forget();
    assert!(frame(&state, &mut stage).1.contains("a=T"));
}

#[test]
fn placeholders_switch_to_a_picture_sent_in_the_background() {
    let mut stage = PictureStage::still(kitty::PLACEHOLDERS, Depth::True, (8, 16));
    let mut state = opened(140, 40);
    let ids =
        |buf: &Buffer| buf.content.iter().filter(|c| c.symbol().starts_with('\u{10EEEE}')).map(|c| c.fg).next_back();
    let (first, sent) = frame(&state, &mut stage);
    assert!(sent.contains("U=1") && ids(&first).is_none(), "blocks stand in until it has arrived");
    let first = ids(&frame(&state, &mut stage).0);
    assert!(first.is_some());
    tell(&mut state, Update::Frame(map_frame(0)));
    let (second, sent) = frame(&state, &mut stage);
    assert!(sent.contains("U=1") && ids(&second) == first, "the old one stays until then");
    assert_ne!(ids(&frame(&state, &mut stage).0), first);
}

#[test]
fn sixels_are_sent_at_the_position_of_their_cells() {
    let mut stage = PictureStage::still(sixel::DRIVER, Depth::True, (8, 16));
    let (_, sent) = frame(&opened(140, 40), &mut stage);
    let place = sent.find("\x1bP0;1q").expect("a sixel picture is sent");
    assert!(sent[..place].starts_with("\x1b[") && sent[..place].ends_with('H'));
}

#[test]
fn sixels_removed_before_a_second_frame_are_overwritten() {
    let mut stage = PictureStage::still(sixel::DRIVER, Depth::True, (8, 16));
    let mut state = opened(140, 40);
    assert!(frame(&state, &mut stage).1.contains("\x1bP"), "a picture stands");
    press(&mut state, "t");
    let (buf, _) = frame(&state, &mut stage);
    let drawn = buf.content.iter().filter(|c| c.diff_option == CellDiffOption::AlwaysUpdate).count();
    assert!(drawn > 100, "{drawn} cells are drawn over it");
}

/// Draws one picture in an area.
fn show(stage: &mut PictureStage, buf: &mut Buffer, area: Rect, figure: &VisibleFigure) {
    let wanted = WantedPictures { pictures: vec![Placement { area, figure, plot: None }], plots: vec![] };
    stage.arrange(&wanted, None, &Lens::default());
    stage.draw(buf, area, &Lens::default());
}

/// The bytes sent to kitty for a picture of 600x600 pixels, relative to its PNG.
fn cost(pixel: impl Fn(usize, usize, usize) -> f32) -> f64 {
    let data: Vec<f32> = (0..3 * 360_000).map(|i| pixel(i / 360_000, i / 600 % 600, i % 600)).collect();
    let pixels = Array::new(vec![3, 600, 600], data).unwrap();
    let figure = Figure::new("picture", Body::Image { pixels });
    let mut png = std::io::Cursor::new(vec![]);
    let image = gradscope::render::paint(&figure, Colormap::default()).unwrap();
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let mut stage = classic();
    let area = Rect::new(0, 0, 100, 50);
    let mut buf = Buffer::empty(area);
    show(&mut stage, &mut buf, area, &VisibleFigure::new(figure, 1));
    stage.finish(&mut buf);
    let mut sent = vec![];
    stage.emit(&mut sent, usize::MAX).unwrap();
    sent.len() as f64 / png.get_ref().len() as f64
}

#[test]
fn a_large_picture_costs_little_more_than_its_png() {
    let noise = |c: usize, y: usize, x: usize| {
        let mut n = ((c * 360_000 + y * 600 + x) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        n = (n ^ n >> 31).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (n >> 40) as f32 / (1u64 << 24) as f32
    };
    let soft =
        |c: usize, y: usize, x: usize| ((x as f32 / 37.0).sin() * (y as f32 / 53.0 + c as f32).cos() + 1.0) / 2.0;
    let grainy = move |c: usize, y: usize, x: usize| 0.9 * soft(c, y, x) + 0.1 * noise(c, y, x);
    let costs = [cost(soft), cost(grainy)];
    assert!(costs.iter().all(|cost| *cost < 1.2), "{costs:?}");
}

#[test]
fn only_changed_cells_are_written() {
    let dot = |bright: usize| {
        let data = (0..3 * 64).map(|i| if i % 64 == bright { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
        let body = Body::Image { pixels: Array::new(vec![3, 8, 8], data).unwrap() };
        let figure = VisibleFigure::new(Figure::new("dot", body), bright as u64);
        let mut stage = PictureStage::still(cells::HALVES, Depth::True, (8, 16));
        let mut buf = Buffer::empty(Rect::new(0, 0, 8, 4));
        show(&mut stage, &mut buf, Rect::new(0, 0, 8, 4), &figure);
        buf
    };
    assert_eq!(dot(9).diff(&dot(9)).len(), 0);
    assert_eq!(dot(9).diff(&dot(44)).len(), 2, "where the dot was, and where it is");
}

/// A picture of one color, to be placed in this column of tiles.
fn tile(id: u64, column: u16) -> (VisibleFigure, Rect) {
    let pixels = Array::new(vec![3, 8, 8], vec![0.1 * id as f32 % 1.0; 192]).expect("the shape fits");
    (VisibleFigure::new(Figure::new("tile", Body::Image { pixels }), id), Rect::new(column * 4, 0, 3, 2))
}

fn arrange(stage: &mut PictureStage, tiles: &[(VisibleFigure, Rect)]) {
    let pictures = tiles.iter().map(|(figure, area)| Placement { area: *area, figure, plot: None }).collect();
    stage.arrange(&WantedPictures { pictures, plots: vec![] }, None, &Lens::default());
}

#[test]
fn another_arrangement_never_shows_a_picture_above_the_caption_of_another() {
    let (jobs, requests) = std::sync::mpsc::channel();
    let (done, encoded) = std::sync::mpsc::channel();
    let encoder = start(move |slot, painted| drop(done.send((slot, painted)))).expect("a thread starts");
    let mut stage = PictureStage::new(cells::HALVES, Depth::True, (8, 16), jobs);
    let encode = |stage: &mut PictureStage| {
        while let Ok(job) = requests.try_recv() {
            encoder.send(job).expect("the encoder runs");
            let (slot, painted) = encoded.recv().expect("it is a picture");
            stage.take(slot, painted);
        }
    };
    let drawn = |stage: &PictureStage, area: Rect| {
        stage.draw(&mut Buffer::empty(Rect::new(0, 0, 200, 10)), area, &Lens::default()).is_some()
    };
    arrange(&mut stage, &[tile(1, 0), tile(2, 1)]);
    encode(&mut stage);
    arrange(&mut stage, &[tile(3, 0), tile(4, 1)]);
    assert!(drawn(&stage, tile(3, 0).1), "the previous step stands until the next is encoded");
    encode(&mut stage);
    arrange(&mut stage, &[tile(3, 0), tile(5, 1), tile(4, 2)]);
    assert!(drawn(&stage, tile(3, 0).1), "what stays is drawn");
    assert!(!drawn(&stage, tile(5, 1).1) && !drawn(&stage, tile(4, 2).1), "others wait for their pictures");
    encode(&mut stage);
    arrange(&mut stage, &[tile(3, 0), tile(5, 1), tile(4, 2)]);
    assert!(drawn(&stage, tile(5, 1).1) && drawn(&stage, tile(4, 2).1));
}

#[test]
fn every_picture_of_a_gallery_has_its_own_id() {
    let mut stage = classic();
    let tiles: Vec<_> = (0..40).map(|at| tile(100 + u64::from(at), at)).collect();
    arrange(&mut stage, &tiles);
    let mut sent = Vec::new();
    stage.emit(&mut sent, usize::MAX).expect("memory takes all");
    let sent = String::from_utf8(sent).expect("pictures are sent as text");
    let ids: std::collections::BTreeSet<_> =
        sent.split("i=").skip(1).filter_map(|rest| rest.split([',', ';']).next()).collect();
    assert_eq!(ids.len(), 40, "{ids:?}");
}
