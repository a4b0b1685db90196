//! Pictures on the screen: which one stands where, and when one must be sent, left alone or taken away.
//!
//! The rule (it holds for kitty's classic placement, iTerm2 and sixel, whose pictures are no cells): cells below a
//! picture that stands are skipped; where none stands they are ordinary blanks, whose drawing erases what was there; a
//! picture is sent after the frame, when it is new, has moved, or was covered. What is covered by something open over
//! the panes is drawn as blocks meanwhile. Blocks, and kitty's placeholders, are ordinary cells and need no rule.

pub mod cells;
pub mod encode;
pub mod inline;
pub mod iterm;
pub mod kitty;
pub mod sample;
pub mod sixel;

pub use encode::{Job, Painted, Sent};

use super::lens::Lens;
use super::look::Exhibit;
use super::theme::Depth;
use cells::Blocks;
use image::RgbImage;
use kitty::Placing;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::collections::VecDeque;
use std::io::{self, Write};

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Painter {
    /// As ordinary cells.
    Cells(Blocks),
    /// By kitty's protocol, through tmux or not.
    Kitty(Placing, bool),
    /// As iTerm2 does.
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
    /// Places that are pointed at as pictures are.
    noticed: Vec<Rect>,
    cover: Option<Rect>,
    jobs: Option<std::sync::mpsc::Sender<Job>>,
    /// What is on its way to the terminal, in order.
    queue: VecDeque<Piece>,
    /// The row at which cells are let through next.
    sweep: u16,
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

/// A command on its way to the terminal.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// The picture's place, if it is one's.
    slot: Option<usize>,
    /// Whether nothing of it was sent before.
    first: bool,
    /// What stands there once this was sent.
    ends: Option<(Rect, Key)>,
}

/// Pictures that have ids of kitty's protocol at the same time.
const IDS: u32 = 32;

/// An id of kitty's protocol, of 24 bits: other processes draw into the same terminal.
fn id(number: u32) -> u32 {
    (std::process::id() % 0x7_ffff + 1) * IDS + number % IDS
}

/// The id of a place's picture; the next one there takes its turn.
fn id_of(index: usize, turn: bool) -> u32 {
    id(index as u32 * 2 + u32::from(turn))
}

impl Stage {
    /// A stage whose pictures are made by another thread.
    pub fn new(painter: Painter, depth: Depth, cell: (u16, u16), jobs: std::sync::mpsc::Sender<Job>) -> Self {
        Self { jobs: Some(jobs), ..Self::still(painter, depth, cell) }
    }

    /// A stage that makes its pictures while it draws: for tests.
    pub fn still(painter: Painter, depth: Depth, cell: (u16, u16)) -> Self {
        let (slots, queue) = (Vec::new(), VecDeque::new());
        Self { painter, depth, cell, slots, used: 0, noticed: vec![], cover: None, jobs: None, queue, sweep: 0 }
    }

    /// Begins a frame with something open over the panes, or nothing.
    pub fn begin(&mut self, cover: Option<Rect>) {
        self.used = 0;
        self.noticed.clear();
        self.cover = cover;
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
        let ready = painted.area == (area.width, area.height) && painted.sent.is_some();
        match self.painter {
            Painter::Cells(blocks) => cells::paint(buf, rect, &painted.image, blocks, self.depth),
            Painter::Kitty(Placing::Cells, _) if ready && kitty::can_place(rect) => {
                self.slots[index].wanted = Some(rect);
                match self.slots[index].shown {
                    Some((here, _)) if here == rect => {
                        kitty::placeholders(buf, rect, id_of(index, self.slots[index].turn));
                    }
                    _ => cells::paint(buf, rect, &painted.image, Blocks::Quadrant, self.depth),
                }
            }
            Painter::Kitty(Placing::Cursor, _) | Painter::Iterm | Painter::Sixel if ready && !covered => {
                self.slots[index].wanted = Some(rect);
            }
            _ => cells::paint(buf, rect, &painted.image, Blocks::Quadrant, self.depth),
        }
        self.slots[index].placed = Some(rect);
        if let (true, Some(place)) = (self.slots[index].wanted.is_none(), lens.mark.and_then(|mark| lens.seen(mark))) {
            ring(buf, rect, place);
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

    /// Has a place of this frame pointed at as pictures are.
    pub fn notice(&mut self, place: Rect) {
        self.noticed.push(place);
    }

    /// The place in the picture at this cell, 0 to 1 from the left and from the top of what is seen.
    pub fn hit(&self, column: u16, row: u16) -> Option<(f32, f32)> {
        let mut places = self.slots.iter().filter_map(|slot| slot.placed).chain(self.noticed.iter().copied());
        let rect = places.find(|r| r.contains((column, row).into()))?;
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

    /// Lets so many bytes of cells of pictures through; others stay as they are on the screen. Whether there were any.
    pub fn hold_back(&mut self, buf: &mut Buffer, screen: &Buffer, room: usize) -> bool {
        if !matches!(self.painter, Painter::Cells(_) | Painter::Kitty(Placing::Cells, _)) {
            return false;
        }
        let points = |slot: &Slot| slot.wanted.is_some() && slot.wanted == slot.shown.map(|(rect, _)| rect);
        let pictures: Vec<_> = self.slots.iter().filter(|s| !points(s)).filter_map(|s| s.placed).collect();
        room < usize::MAX && cells::hold_back(buf, screen, (&pictures, self.cover), room, &mut self.sweep)
    }

    /// Takes away what is not wanted any more, and sends what is new, in about so many bytes; whether anything new stands.
    pub fn emit(&mut self, out: &mut impl Write, room: usize) -> io::Result<bool> {
        for index in 0..self.slots.len() {
            self.take_away(index);
        }
        for index in 0..self.slots.len() {
            self.send(index);
        }
        self.pump(out, room)
    }

    /// Whether cells stand for pictures, so that those that have arrived are seen with the next frame only.
    pub fn points_at_pictures(&self) -> bool {
        matches!(self.painter, Painter::Kitty(Placing::Cells, _))
    }

    /// Whether pictures wait to be sent.
    pub fn has_more(&self) -> bool {
        !self.queue.is_empty() || self.slots.iter().any(Slot::is_due)
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
        // What was begun must be sent to its end, but nobody knows what stands then.
        self.queue.iter_mut().for_each(|piece| piece.ends = None);
    }

    /// All ids that pictures of kitty's protocol may have here.
    pub fn ids(&self) -> std::ops::Range<u32> {
        id(0)..id(0) + IDS
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

    fn take_away(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let (wanted, turn) = (slot.wanted, slot.turn);
        // A picture that was begun must be sent to its end.
        let begun = self.queue.front().filter(|piece| !piece.first).and_then(|piece| piece.slot);
        let moved = |rect: Rect| wanted != Some(rect);
        let sixel = self.painter == Painter::Sixel && slot.shown.is_some_and(|(rect, _)| moved(rect));
        if (wanted.is_none() || sixel) && begun != Some(index) {
            self.queue.retain(|piece| piece.slot != Some(index));
        }
        if slot.shown.take_if(|(rect, _)| wanted != Some(*rect)).is_none() {
            return;
        }
        let ids = match self.painter {
            Painter::Kitty(Placing::Cursor, _) => vec![id_of(index, turn)],
            Painter::Kitty(Placing::Cells, _) if wanted.is_none() => vec![id_of(index, turn), id_of(index, !turn)],
            _ => vec![],
        };
        let tmux = matches!(self.painter, Painter::Kitty(_, true));
        let next = self.queue.iter().take_while(|piece| begun.is_some() && piece.slot == begun).count();
        for id in ids {
            self.queue.insert(next, Piece { bytes: kitty::delete(id, tmux), slot: None, first: true, ends: None });
        }
    }

    /// Begins to send a picture that is due, in pieces one after the other.
    fn send(&mut self, index: usize) {
        let slot = &self.slots[index];
        let (Some(rect), Some(painted), true) = (slot.wanted, slot.painted.clone(), slot.is_due()) else { return };
        if self.queue.iter().any(|piece| piece.slot == Some(index)) {
            return;
        }
        let commands = match (painted.sent.as_deref(), self.painter) {
            (Some(Sent::Png(png)), Painter::Kitty(placing, tmux)) => {
                let id = id_of(index, slot.turn != (placing == Placing::Cells));
                let to = if placing == Placing::Cursor { go(rect.x, rect.y) } else { Vec::new() };
                let pieces = kitty::pieces(id, png, rect, placing, tmux);
                pieces.into_iter().map(|bytes| [to.clone(), bytes].concat()).collect()
            }
            (Some(Sent::Strips(strips)), _) => {
                // Parts of it stand from the first strip on.
                self.slots[index].shown = Some((rect, painted.key));
                strips.iter().map(|(row, bytes)| [go(rect.x, rect.y + row), bytes.clone()].concat()).collect()
            }
            (Some(Sent::Png(png)), Painter::Iterm) => vec![[go(rect.x, rect.y), iterm::picture(png, rect)].concat()],
            _ => Vec::new(),
        };
        let last = commands.len().saturating_sub(1);
        let piece = |(at, bytes): (usize, Vec<u8>)| {
            let ends = (at == last).then_some((rect, painted.key));
            Piece { bytes, slot: Some(index), first: at == 0 || self.painter == Painter::Sixel, ends }
        };
        self.queue.extend(commands.into_iter().enumerate().map(piece));
    }

    /// Sends what is on its way, in about so many bytes.
    fn pump(&mut self, out: &mut impl Write, mut room: usize) -> io::Result<bool> {
        let mut arrived = false;
        while let Some(piece) = self.queue.pop_front_if(|_| room > 0) {
            out.write_all(&piece.bytes)?;
            room = room.saturating_sub(piece.bytes.len());
            if let (Some(index), Some(ends)) = (piece.slot, piece.ends) {
                let cells = matches!(self.painter, Painter::Kitty(Placing::Cells, _));
                let slot = &mut self.slots[index];
                (slot.shown, slot.turn, arrived) = (Some(ends), slot.turn != cells, true);
            }
        }
        Ok(arrived)
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
pub fn ring(buf: &mut Buffer, rect: Rect, (x, y): (f32, f32)) {
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

fn go(x: u16, y: u16) -> Vec<u8> {
    format!("\x1b[{};{}H", y + 1, x + 1).into_bytes()
}
