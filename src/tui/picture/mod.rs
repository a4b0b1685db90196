//! Pictures on the screen: which one stands where, and when one must be sent, left alone or taken away.
//!
//! The rule (it holds for kitty's classic placement, iTerm2 and sixel, whose pictures are no cells): cells below a
//! picture that stands are skipped; where none stands they are ordinary blanks, whose drawing erases what was there; a
//! picture is sent after the frame, when it is new, has moved, or was covered. What is covered by something open over
//! the panes is drawn as blocks meanwhile. Blocks, and kitty's placeholders, are ordinary cells and need no rule.

pub mod cells;
pub mod encode;
pub mod kitty;
pub mod sample;
pub mod sixel;

pub use encode::{Job, Painted};

use super::lens::Lens;
use super::look::Exhibit;
use super::theme::Depth;
use cells::Blocks;
use image::{DynamicImage, RgbImage};
use kitty::Placing;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Painter {
    /// As ordinary cells.
    Cells(Blocks),
    /// By kitty's protocol, through tmux or not.
    Kitty(Placing, bool),
    /// As iTerm2 does, by viuer.
    Iterm,
    /// As sixels.
    Sixel,
    /// Not at all.
    Nothing,
}

/// What is drawn: a figure through a lens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// The number of the exhibit.
    pub id: u64,
    /// How it is looked at.
    pub lens: Lens,
}

/// All pictures of the screen.
#[derive(Debug)]
pub struct Stage {
    /// How they are drawn.
    pub painter: Painter,
    /// Colours there are.
    pub depth: Depth,
    /// Width and height of a cell in pixels.
    pub cell: (u16, u16),
    slots: Vec<Slot>,
    used: usize,
    cover: Option<Rect>,
    jobs: Option<std::sync::mpsc::Sender<Job>>,
    pace: Pace,
    holding: bool,
    base: u32,
}

/// One place for a picture: the first, second, … of a frame.
#[derive(Debug, Default)]
struct Slot {
    painted: Option<Painted>,
    asked: Option<(Key, (u16, u16))>,
    placed: Option<Rect>,
    wanted: Option<Rect>,
    shown: Option<(Rect, Key)>,
    turn: bool,
}

/// No faster than the terminal takes them: a picture is sent when the last one was answered.
#[derive(Debug, Default)]
struct Pace {
    waiting: usize,
    since: Option<Instant>,
    never_answers: bool,
}

/// An answer that did not come for so long will not come.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pictures that have ids of kitty's protocol at the same time.
const IDS: u32 = 32;

impl Stage {
    /// A stage whose pictures are made by another thread.
    pub fn new(painter: Painter, depth: Depth, cell: (u16, u16), jobs: std::sync::mpsc::Sender<Job>) -> Self {
        Self { jobs: Some(jobs), ..Self::still(painter, depth, cell) }
    }

    /// A stage that makes its pictures while it draws: for tests.
    pub fn still(painter: Painter, depth: Depth, cell: (u16, u16)) -> Self {
        let base = (std::process::id() % 0x7_ffff + 1) * IDS;
        let pace = Pace::default();
        Self { painter, depth, cell, slots: Vec::new(), used: 0, cover: None, jobs: None, pace, holding: false, base }
    }

    /// Begins a frame with something open over the panes, or nothing.
    pub fn begin(&mut self, cover: Option<Rect>) {
        self.used = 0;
        self.cover = cover;
        self.holding = self.must_wait();
        self.slots.iter_mut().for_each(|slot| (slot.wanted, slot.placed) = (None, None));
    }

    /// Puts a picture into an area, as large as fits, and says where; none as long as there is none.
    pub fn place(&mut self, buf: &mut Buffer, area: Rect, exhibit: &Exhibit, lens: &Lens) -> Option<Rect> {
        if area.is_empty() || self.painter == Painter::Nothing {
            return None;
        }
        let index = self.used;
        self.used += 1;
        if self.slots.len() < self.used {
            self.slots.push(Slot::default());
        }
        self.request(index, area, exhibit, lens);
        let painted = self.slots[index].painted.clone()?;
        let rect = fit((painted.image.width(), painted.image.height()), area, self.cell);
        let covered = self.cover.is_some_and(|c| c.intersects(rect));
        let ready = painted.area == (area.width, area.height) && painted.bytes.is_some();
        match self.painter {
            Painter::Cells(blocks) => cells::paint(buf, rect, &painted.image, blocks, self.depth),
            Painter::Kitty(Placing::Cells, _) if ready && self.id_to_show(index, rect).is_some() => {
                self.slots[index].wanted = Some(rect);
                self.id_to_show(index, rect).into_iter().for_each(|id| kitty::placeholders(buf, rect, id));
            }
            Painter::Kitty(Placing::Cursor, _) | Painter::Iterm | Painter::Sixel if ready && !covered => {
                self.slots[index].wanted = Some(rect);
            }
            _ => cells::paint(buf, rect, &painted.image, Blocks::Quadrant, self.depth),
        }
        self.slots[index].placed = Some(rect);
        if let (true, Some(place)) = (self.slots[index].wanted.is_none(), lens.mark.and_then(|mark| lens.seen(mark))) {
            turn_over(buf, rect, place);
        }
        Some(rect)
    }

    /// Draws a picture as cells whatever the terminal can do, as large as fits: over panes, where it comes and goes quickly.
    pub fn sketch(&self, buf: &mut Buffer, area: Rect, image: &RgbImage) {
        let blocks = match self.painter {
            Painter::Nothing => return,
            Painter::Cells(blocks) => blocks,
            _ => Blocks::Quadrant,
        };
        if !area.is_empty() {
            cells::paint(buf, fit(image.dimensions(), area, self.cell), image, blocks, self.depth);
        }
    }

    /// The place in the picture at this cell, 0 to 1 from the left and from the top of what is seen.
    pub fn hit(&self, column: u16, row: u16) -> Option<(f32, f32)> {
        let rect = self.slots.iter().filter_map(|slot| slot.placed).find(|r| r.contains((column, row).into()))?;
        let part = |at: u16, from: u16, size: u16| (f32::from(at - from) + 0.5) / f32::from(size);
        Some((part(column, rect.x, rect.width), part(row, rect.y, rect.height)))
    }

    /// Ends a frame: cells below pictures that stand are left alone, those below a picture that leaves are drawn anew.
    pub fn finish(&mut self, buf: &mut Buffer) {
        if matches!(self.painter, Painter::Cells(_) | Painter::Nothing | Painter::Kitty(Placing::Cells, _)) {
            return;
        }
        let shown = |slot: &Slot| slot.shown.as_ref().map(|(rect, _)| *rect);
        let leaves = |slot: &&Slot| shown(slot) != slot.wanted;
        self.slots.iter().filter(leaves).filter_map(shown).for_each(|r| mark(buf, r, CellDiffOption::AlwaysUpdate));
        let stays = |slot: &&Slot| shown(slot) == slot.wanted;
        self.slots.iter().filter(stays).filter_map(shown).for_each(|r| mark(buf, r, CellDiffOption::Skip));
    }

    /// Whether a picture must be sent before the frame: its cells point at it.
    pub fn is_sent_first(&self) -> bool {
        matches!(self.painter, Painter::Kitty(Placing::Cells, _))
    }

    /// Takes away what is not wanted any more, and sends what is new. `out` is flushed before viuer writes.
    pub fn emit(&mut self, out: &mut impl Write) -> io::Result<()> {
        for index in 0..self.slots.len() {
            self.take_away(index, out)?;
        }
        if self.holding {
            return Ok(());
        }
        for index in 0..self.slots.len() {
            self.send(index, out)?;
        }
        Ok(())
    }

    /// The terminal has taken a picture.
    pub fn answered(&mut self) {
        self.pace.waiting = self.pace.waiting.saturating_sub(1);
    }

    /// Whether a picture waits for the terminal.
    pub fn holds_back(&self) -> bool {
        self.pace.waiting > 0 && self.slots.iter().any(Slot::is_due)
    }

    /// Takes a picture that another thread made.
    pub fn take(&mut self, index: usize, painted: Painted) {
        if let Some(slot) = self.slots.get_mut(index)
            && slot.asked.as_ref().is_some_and(|(key, area)| *key == painted.key && *area == painted.area)
        {
            slot.painted = Some(painted);
        }
    }

    /// The terminal was cleared, or is another size: nothing stands any more.
    pub fn forget(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.shown = None);
        self.pace.waiting = 0;
    }

    /// All ids that pictures of kitty's protocol may have here.
    pub fn ids(&self) -> std::ops::Range<u32> {
        self.base..self.base + IDS
    }

    fn request(&mut self, index: usize, area: Rect, exhibit: &Exhibit, lens: &Lens) {
        let key = Key { id: exhibit.id, lens: *lens };
        let asked = Some((key, (area.width, area.height)));
        if self.slots[index].asked == asked {
            return;
        }
        self.slots[index].asked = asked;
        let area = (area.width, area.height);
        let figure = exhibit.figure.clone();
        let job = Job { slot: index, key, figure, area, cell: self.cell, painter: self.painter };
        match &self.jobs {
            Some(jobs) => drop(jobs.send(job)),
            None => self.slots[index].painted = encode::paint(&job),
        }
    }

    /// The id that placeholders show: the new picture's, which will be sent before the frame; while nothing may be sent
    /// that of the old one, if it stands there.
    fn id_to_show(&self, index: usize, rect: Rect) -> Option<u32> {
        let slot = &self.slots[index];
        let key = slot.painted.as_ref().map(|p| &p.key);
        let (here, same) =
            slot.shown.as_ref().map_or((false, false), |(r, k)| (*r == rect, *r == rect && Some(k) == key));
        match (same, self.holding) {
            _ if !kitty::can_place(rect) => None,
            (true, _) => Some(self.id(index, slot.turn)),
            (false, false) => Some(self.id(index, !slot.turn)),
            (false, true) => here.then(|| self.id(index, slot.turn)),
        }
    }

    fn id(&self, index: usize, turn: bool) -> u32 {
        self.base + (index as u32 * 2 + u32::from(turn)) % IDS
    }

    fn take_away(&mut self, index: usize, out: &mut impl Write) -> io::Result<()> {
        let slot = &mut self.slots[index];
        let (wanted, turn) = (slot.wanted, slot.turn);
        if slot.shown.take_if(|(rect, _)| wanted != Some(*rect)).is_none() {
            return Ok(());
        }
        match self.painter {
            Painter::Kitty(Placing::Cursor, tmux) => kitty::delete(out, self.id(index, turn), tmux),
            Painter::Kitty(Placing::Cells, tmux) if wanted.is_none() => {
                kitty::delete(out, self.id(index, turn), tmux)?;
                kitty::delete(out, self.id(index, !turn), tmux)
            }
            _ => Ok(()),
        }
    }

    fn must_wait(&mut self) -> bool {
        let late = self.pace.since.is_some_and(|since| since.elapsed() > PATIENCE);
        if self.pace.waiting > 0 && late {
            self.pace = Pace { never_answers: true, ..Pace::default() };
        }
        self.pace.waiting > 0
    }

    fn send(&mut self, index: usize, out: &mut impl Write) -> io::Result<()> {
        if !self.slots[index].is_due() {
            return Ok(());
        }
        let slot = &mut self.slots[index];
        let (Some(rect), Some(painted)) = (slot.wanted, slot.painted.clone()) else { return Ok(()) };
        if let Painter::Kitty(Placing::Cells, _) = self.painter {
            slot.turn = !slot.turn;
        }
        slot.shown = Some((rect, painted.key));
        let id = self.id(index, self.slots[index].turn);
        let bytes = painted.bytes.as_deref().unwrap_or_default();
        match self.painter {
            Painter::Kitty(placing, tmux) => {
                if placing == Placing::Cursor {
                    go(out, rect)?;
                }
                kitty::send(out, id, bytes, rect, placing, tmux)?;
                self.expect_answer(tmux);
                Ok(())
            }
            Painter::Sixel => {
                go(out, rect)?;
                out.write_all(bytes)
            }
            Painter::Iterm => {
                out.flush()?;
                print(&painted.image, rect)
            }
            Painter::Cells(_) | Painter::Nothing => Ok(()),
        }
    }

    fn expect_answer(&mut self, tmux: bool) {
        if !tmux && !self.pace.never_answers {
            self.pace.waiting += 1;
            self.pace.since = Some(Instant::now());
        }
    }
}

impl Slot {
    /// Whether what is wanted is not what stands there.
    fn is_due(&self) -> bool {
        let (Some(rect), Some(painted)) = (self.wanted, &self.painted) else { return false };
        self.shown.as_ref().is_none_or(|(shown, key)| *shown != rect || *key != painted.key)
    }
}

/// The cells that a picture of this size takes in an area, as large as fits and in the middle.
pub fn fit((width, height): (u32, u32), area: Rect, cell: (u16, u16)) -> Rect {
    let room = (f64::from(area.width) * f64::from(cell.0), f64::from(area.height) * f64::from(cell.1));
    let scale = (room.0 / f64::from(width.max(1))).min(room.1 / f64::from(height.max(1)));
    let cells =
        |pixels: u32, of: u16, most: u16| ((f64::from(pixels) * scale / f64::from(of)).round() as u16).clamp(1, most);
    let (columns, rows) = (cells(width, cell.0, area.width), cells(height, cell.1, area.height));
    Rect::new(area.x + (area.width - columns) / 2, area.y + (area.height - rows) / 2, columns, rows)
}

/// Marks the cell at a place of a picture that is made of cells.
fn turn_over(buf: &mut Buffer, rect: Rect, (x, y): (f32, f32)) {
    let at = |part: f32, from: u16, size: u16| from + (part * f32::from(size)) as u16;
    if let Some(cell) = buf.cell_mut((at(x, rect.x, rect.width), at(y, rect.y, rect.height))) {
        cell.set_symbol("◎").set_fg(Color::White).set_bg(Color::Black);
    }
}

fn mark(buf: &mut Buffer, rect: Rect, option: CellDiffOption) {
    for position in rect.intersection(buf.area).positions() {
        if let Some(cell) = buf.cell_mut(position) {
            cell.set_diff_option(option);
        }
    }
}

fn go(out: &mut impl Write, rect: Rect) -> io::Result<()> {
    write!(out, "\x1b[{};{}H", rect.y + 1, rect.x + 1)
}

/// viuer prints to stdout, and only what the terminal is known to take.
fn print(image: &RgbImage, rect: Rect) -> io::Result<()> {
    let config = viuer::Config {
        x: rect.x,
        y: rect.y as i16,
        width: Some(u32::from(rect.width)),
        height: Some(u32::from(rect.height)),
        use_kitty: false,
        ..viuer::Config::default()
    };
    viuer::print(&DynamicImage::ImageRgb8(image.clone()), &config).map(|_| ()).map_err(io::Error::other)
}
