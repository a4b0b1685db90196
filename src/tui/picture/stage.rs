//! The pictures on screen: where they are, and when to send, keep or remove them.
//!
//! Pictures drawn over cells (kitty at the cursor, iTerm2, sixel) follow one rule. Cells under a picture that is already on
//! screen are skipped; other cells are drawn as blanks, which erase previous content. A picture is sent after the frame if it is
//! new, has moved, or was covered. While a pop-up covers a picture, it is drawn as blocks. Blocks and kitty's placeholders are
//! ordinary cells and need no special treatment.

use super::blocks::{self, Blocks};
use super::driver::{Driver, Standing};
use super::encode::{self, EncodeJob, EncodedPicture, PictureKey};
use super::fit::{fit, ring};
use crate::render::PointPlot;
use crate::tui::state::{Lens, VisibleFigure};
use crate::tui::theme::Depth;
use image::RgbImage;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::sync::mpsc::Sender;

/// A figure and its screen area.
#[derive(Clone, Debug)]
pub struct Placement<'a> {
    /// The area of the screen.
    pub area: Rect,
    /// The figure to draw.
    pub figure: &'a VisibleFigure,
    /// How the points of a scatter plot are drawn; `None` for other figures.
    pub plot: Option<PointPlot>,
}

/// The pictures to show in a frame.
#[derive(Clone, Debug, Default)]
pub struct WantedPictures<'a> {
    /// The pictures and their areas.
    pub pictures: Vec<Placement<'a>>,
    /// Plots, which receive mouse events like pictures. They are drawn as pictures only by drivers with a graphics protocol.
    pub plots: Vec<Placement<'a>>,
}

/// The pictures on screen and their pending commands.
#[derive(Debug)]
pub struct PictureStage {
    /// The driver that draws the pictures.
    pub driver: &'static dyn Driver,
    /// The color depth of the terminal.
    pub depth: Depth,
    /// Cell size in pixels.
    pub cell: (u16, u16),
    slots: Vec<Slot>,
    /// The number of pictures in the previous frame.
    count: usize,
    plots: Vec<Rect>,
    cover: Option<Rect>,
    jobs: Option<Sender<EncodeJob>>,
    /// Commands to send to the terminal, in order.
    queue: VecDeque<Piece>,
    /// The row at which to resume drawing held-back cells.
    sweep: u16,
}

/// A slot: the state of the picture with a given index in the frame.
#[derive(Debug, Default)]
struct Slot {
    /// Area of the picture in the current frame.
    area: Option<Rect>,
    /// The latest picture encoded for this slot.
    painted: Option<EncodedPicture>,
    /// The latest encoding request: the content, and the columns and rows of its area.
    asked: Option<(PictureKey, (u16, u16))>,
    /// Cells occupied by the picture in the current frame.
    placed: Option<Rect>,
    /// The cells that the picture should occupy if it is drawn with a graphics protocol.
    wanted: Option<Rect>,
    /// Cells and content of the picture currently drawn on screen with a graphics protocol.
    shown: Option<(Rect, PictureKey)>,
    /// Which of the slot's two picture IDs is in use.
    turn: bool,
}

/// A command waiting to be sent.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// Slot of the picture drawn by the command; `None` for other commands.
    slot: Option<usize>,
    /// Whether the command is the first one of its picture.
    first: bool,
    /// Cells and content of the picture completed by the command.
    ends: Option<(Rect, PictureKey)>,
}

/// Number of picture IDs used by the app, two for each picture of a large gallery.
const IDS: u32 = 512;

/// A 24-bit picture ID, distinct from those of other processes in the same terminal.
fn id(number: u32) -> u32 {
    (std::process::id() % 0x7fff + 1) * IDS + number % IDS
}

/// ID of the picture in a slot. Each slot alternates between two IDs.
fn id_of(index: usize, turn: bool) -> u32 {
    id(index as u32 * 2 + u32::from(turn))
}

impl PictureStage {
    /// Creates a stage whose pictures are encoded on another thread.
    pub fn new(driver: &'static dyn Driver, depth: Depth, cell: (u16, u16), jobs: Sender<EncodeJob>) -> Self {
        Self { jobs: Some(jobs), ..Self::still(driver, depth, cell) }
    }

    /// Creates a stage that encodes its pictures synchronously, for tests.
    pub fn still(driver: &'static dyn Driver, depth: Depth, cell: (u16, u16)) -> Self {
        let (slots, queue) = (Vec::new(), VecDeque::new());
        Self { driver, depth, cell, slots, count: 0, plots: vec![], cover: None, jobs: None, queue, sweep: 0 }
    }

    /// Arranges the pictures of a frame and requests those not yet encoded. `cover` is the area of a pop-up over the pictures.
    pub fn arrange(&mut self, wanted: &WantedPictures<'_>, cover: Option<Rect>, lens: &Lens) {
        self.cover = cover;
        self.plots = wanted.plots.iter().map(|plot| plot.area).collect();
        self.slots.iter_mut().for_each(|slot| (slot.area, slot.wanted, slot.placed) = (None, None, None));
        if matches!(self.driver.standing(), Standing::Nowhere) {
            return;
        }
        let graphics = matches!(self.driver.standing(), Standing::Placeholders | Standing::Overlay);
        let plots = wanted.plots.iter().filter(|_| graphics);
        let placements: Vec<_> = wanted.pictures.iter().chain(plots).filter(|p| !p.area.is_empty()).collect();
        let rearranged = placements.len() != std::mem::replace(&mut self.count, placements.len());
        for (index, placement) in placements.into_iter().enumerate() {
            if self.slots.len() == index {
                self.slots.push(Slot::default());
            }
            // In the same arrangement, the previous step's picture stands until the new one is encoded. In another one, it would stand
            // above another figure's caption.
            let painted = &mut self.slots[index].painted;
            painted.take_if(|painted| rearranged && painted.key.id != placement.figure.id);
            self.request(index, placement, lens);
            self.place(index, placement.area);
        }
    }

    fn place(&mut self, index: usize, area: Rect) {
        let slot = &mut self.slots[index];
        slot.area = Some(area);
        let Some(painted) = &slot.painted else { return };
        let rect = fit(painted.image.dimensions(), area, self.cell);
        let covered = self.cover.is_some_and(|c| c.intersects(rect));
        let ready = painted.area == (area.width, area.height) && painted.sent.is_some();
        let stands = match self.driver.standing() {
            Standing::Placeholders => ready && self.driver.can_stand(rect),
            Standing::Overlay => ready && !covered,
            Standing::Cells(_) | Standing::Nowhere => false,
        };
        slot.placed = Some(rect);
        slot.wanted = stands.then_some(rect);
    }

    /// Draws the cells of the picture arranged in `area` and returns the rectangle it occupies; `None` if there is no picture
    /// yet.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, lens: &Lens) -> Option<Rect> {
        let index = self.slots.iter().position(|slot| slot.area == Some(area))?;
        let slot = &self.slots[index];
        let (rect, painted) = (slot.placed?, slot.painted.as_ref()?);
        let image = &painted.image;
        let stands = slot.shown.is_some_and(|(shown, _)| shown == rect);
        match self.driver.standing() {
            Standing::Cells(_) if painted.signed => blocks::signs(buf, rect, image),
            Standing::Cells(blocks) => blocks::paint(buf, rect, image, blocks, self.depth),
            Standing::Placeholders if slot.wanted.is_some() && stands => {
                self.driver.placeholders(buf, rect, id_of(index, slot.turn));
            }
            Standing::Overlay if slot.wanted.is_some() => {}
            _ => blocks::paint(buf, rect, image, Blocks::Quadrant, self.depth),
        }
        if let (true, Some(place)) = (slot.wanted.is_none(), lens.mark.and_then(|mark| lens.seen(mark))) {
            ring(buf, rect, place);
        }
        Some(rect)
    }

    /// Whether the picture arranged in `area` is drawn with a graphics protocol in this frame.
    pub fn draws(&self, area: Rect) -> bool {
        let Some(slot) = self.slots.iter().find(|slot| slot.area == Some(area)) else { return false };
        let shown = slot.shown.map(|(rect, _)| rect);
        match self.driver.standing() {
            Standing::Overlay => slot.wanted.is_some(),
            Standing::Placeholders => slot.wanted.is_some() && shown == slot.wanted,
            Standing::Cells(_) | Standing::Nowhere => false,
        }
    }

    /// Draws a picture as cells, scaled to fit, even if the driver uses a protocol. Used for thumbnails, which change quickly.
    pub fn sketch(&self, buf: &mut Buffer, area: Rect, image: &RgbImage) {
        let blocks = match self.driver.standing() {
            Standing::Nowhere => return,
            Standing::Cells(blocks) => blocks,
            Standing::Placeholders | Standing::Overlay => Blocks::Quadrant,
        };
        if !area.is_empty() {
            blocks::paint(buf, fit(image.dimensions(), area, self.cell), image, blocks, self.depth);
        }
    }

    /// Position of a cell within the picture or plot that contains it, as fractions in `[0, 1]` of width and height.
    pub fn hit(&self, column: u16, row: u16) -> Option<(f32, f32)> {
        let mut places = self.slots.iter().filter_map(|slot| slot.placed).chain(self.plots.iter().copied());
        let rect = places.find(|r| r.contains((column, row).into()))?;
        let part = |at: u16, from: u16, size: u16| (f32::from(at - from) + 0.5) / f32::from(size);
        Some((part(column, rect.x, rect.width), part(row, rect.y, rect.height)))
    }

    /// Finishes a frame: skips the cells under pictures that stay, and redraws the cells under pictures to remove.
    pub fn finish(&mut self, buf: &mut Buffer) {
        if !matches!(self.driver.standing(), Standing::Overlay) {
            return;
        }
        let shown = |slot: &Slot| slot.shown.as_ref().map(|(rect, _)| *rect);
        let leaves = |slot: &&Slot| shown(slot) != slot.wanted;
        self.slots.iter().filter(leaves).filter_map(shown).for_each(|r| mark(buf, r, CellDiffOption::AlwaysUpdate));
        let stays = |slot: &&Slot| shown(slot) == slot.wanted;
        self.slots.iter().filter(stays).filter_map(shown).for_each(|r| mark(buf, r, CellDiffOption::Skip));
    }

    /// Limits the changed cells of pictures to about `room` bytes. The remaining cells stay as they are on screen. Returns
    /// whether any cells were held back.
    pub fn hold_back(&mut self, buf: &mut Buffer, screen: &Buffer, room: usize) -> bool {
        if !matches!(self.driver.standing(), Standing::Cells(_) | Standing::Placeholders) {
            return false;
        }
        let points = |slot: &Slot| slot.wanted.is_some() && slot.wanted == slot.shown.map(|(rect, _)| rect);
        let pictures: Vec<_> = self.slots.iter().filter(|s| !points(s)).filter_map(|s| s.placed).collect();
        room < usize::MAX && blocks::hold_back(buf, screen, (&pictures, self.cover), room, &mut self.sweep)
    }

    /// Removes pictures that are no longer needed and sends about `room` bytes of new ones. Returns whether a new picture is
    /// complete.
    pub fn emit(&mut self, out: &mut impl Write, room: usize) -> io::Result<bool> {
        for index in 0..self.slots.len() {
            self.take_away(index);
        }
        for index in 0..self.slots.len() {
            self.send(index);
        }
        self.pump(out, room)
    }

    /// Whether pictures use placeholders, so that a new picture needs another frame to become visible.
    pub fn points_at_pictures(&self) -> bool {
        matches!(self.driver.standing(), Standing::Placeholders)
    }

    /// Whether any picture is not completely sent.
    pub fn has_more(&self) -> bool {
        !self.queue.is_empty() || self.slots.iter().any(Slot::is_due)
    }

    /// Stores an encoded picture in its slot, unless a different one has been requested since.
    pub fn take(&mut self, index: usize, painted: EncodedPicture) {
        if let Some(slot) = self.slots.get_mut(index)
            && slot.asked.as_ref().is_some_and(|(key, area)| *key == painted.key && *area == painted.area)
        {
            slot.painted = Some(painted);
        }
    }

    /// Forgets which pictures are on screen, after the terminal was cleared or resized.
    pub fn forget(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.shown = None);
        // A picture must be sent completely once started, but its state on screen is unknown.
        self.queue.iter_mut().for_each(|piece| piece.ends = None);
    }

    /// The bytes that remove all pictures from the terminal.
    pub fn removal(&self) -> Vec<u8> {
        let used = (self.slots.len() as u32 * 2).min(IDS);
        (id(0)..id(0) + used).flat_map(|id| self.driver.removal(id)).collect()
    }

    fn request(&mut self, index: usize, placement: &Placement<'_>, lens: &Lens) {
        let area = (placement.area.width, placement.area.height);
        let plot = placement.plot.as_ref().map_or(0, hash);
        let key = PictureKey { id: placement.figure.id, lens: *lens, plot };
        let asked = Some((key, area));
        if self.slots[index].asked == asked {
            return;
        }
        self.slots[index].asked = asked;
        let VisibleFigure { figure, range, .. } = placement.figure.clone();
        let colorless = match self.driver.standing() {
            Standing::Cells(blocks) => blocks == Blocks::Letters || self.depth == Depth::None,
            _ => false,
        };
        let plot = placement.plot.clone();
        let job =
            EncodeJob { slot: index, key, figure, range, plot, area, cell: self.cell, driver: self.driver, colorless };
        match &self.jobs {
            Some(jobs) => drop(jobs.send(job)),
            None => self.slots[index].painted = encode::paint(&job),
        }
    }

    fn take_away(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let (wanted, turn) = (slot.wanted, slot.turn);
        // A picture must be sent completely once started.
        let begun = self.queue.front().filter(|piece| !piece.first).and_then(|piece| piece.slot);
        let moved = |rect: Rect| wanted != Some(rect);
        let strips = self.driver.in_strips() && slot.shown.is_some_and(|(rect, _)| moved(rect));
        if (wanted.is_none() || strips) && begun != Some(index) {
            self.queue.retain(|piece| piece.slot != Some(index));
        }
        if slot.shown.take_if(|(rect, _)| wanted != Some(*rect)).is_none() {
            return;
        }
        let ids = match self.driver.standing() {
            Standing::Overlay => vec![id_of(index, turn)],
            Standing::Placeholders if wanted.is_none() => vec![id_of(index, turn), id_of(index, !turn)],
            _ => vec![],
        };
        let next = self.queue.iter().take_while(|piece| begun.is_some() && piece.slot == begun).count();
        for bytes in ids.into_iter().map(|id| self.driver.delete(id)).filter(|bytes| !bytes.is_empty()) {
            self.queue.insert(next, Piece { bytes, slot: None, first: true, ends: None });
        }
    }

    /// Queues the commands that draw a slot's picture, if it must be sent.
    fn send(&mut self, index: usize) {
        let slot = &self.slots[index];
        let (Some(rect), Some(painted), true) = (slot.wanted, slot.painted.clone(), slot.is_due()) else { return };
        if self.queue.iter().any(|piece| piece.slot == Some(index)) {
            return;
        }
        let Some(sent) = painted.sent.as_deref() else { return };
        // The placeholders refer to the slot's other ID until the new picture is complete.
        let hidden = matches!(self.driver.standing(), Standing::Placeholders);
        let commands = self.driver.commands(sent, id_of(index, slot.turn != hidden), rect);
        if self.driver.in_strips() {
            // Parts of the picture are visible as soon as the first strip is sent.
            self.slots[index].shown = Some((rect, painted.key));
        }
        let last = commands.len().saturating_sub(1);
        let piece = |(at, bytes): (usize, Vec<u8>)| {
            let ends = (at == last).then_some((rect, painted.key));
            Piece { bytes, slot: Some(index), first: at == 0 || self.driver.in_strips(), ends }
        };
        self.queue.extend(commands.into_iter().enumerate().map(piece));
    }

    /// Sends about `room` bytes of queued commands. Returns whether a picture is complete.
    fn pump(&mut self, out: &mut impl Write, mut room: usize) -> io::Result<bool> {
        let mut arrived = false;
        while let Some(piece) = self.queue.pop_front_if(|_| room > 0) {
            out.write_all(&piece.bytes)?;
            room = room.saturating_sub(piece.bytes.len());
            if let (Some(index), Some(ends)) = (piece.slot, piece.ends) {
                let cells = matches!(self.driver.standing(), Standing::Placeholders);
                let slot = &mut self.slots[index];
                (slot.shown, slot.turn, arrived) = (Some(ends), slot.turn != cells, true);
            }
        }
        Ok(arrived)
    }
}

/// A hash of how a scatter plot is drawn.
fn hash(plot: &PointPlot) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&plot.colors, plot.ground, plot.ink, plot.open).hash(&mut hasher);
    plot.lasso.iter().for_each(|(x, y)| (x.to_bits(), y.to_bits()).hash(&mut hasher));
    hasher.finish()
}

impl Slot {
    /// Whether the picture on screen differs from the intended one.
    fn is_due(&self) -> bool {
        let (Some(rect), Some(painted)) = (self.wanted, &self.painted) else { return false };
        self.shown.as_ref().is_none_or(|(shown, key)| *shown != rect || *key != painted.key)
    }
}

fn mark(buf: &mut Buffer, rect: Rect, option: CellDiffOption) {
    for position in rect.intersection(buf.area).positions() {
        if let Some(cell) = buf.cell_mut(position) {
            cell.set_diff_option(option);
        }
    }
}
