//! Prints figures to the terminal, pictures side by side.

use super::config;
use super::out::{self, say};
use crate::render::{self, Body, Colormap, Figure};
use crate::tui::{Graphics, Inline};
use anyhow::Result;
use image::RgbImage;
use ratatui::text::Span;
use std::io::IsTerminal;

/// Minimum width of a picture in columns, if several are side by side.
const LEAST: u16 = 26;
/// Maximum width of a picture in columns.
const COLUMNS: u16 = 64;
/// Columns between two pictures.
const GAP: u16 = 2;
/// Maximum height of a picture in rows.
const ROWS: u16 = 24;
/// Number of rows reserved for text below a picture.
const WORDS: u16 = 4;
/// Width of text in columns.
const TEXT: usize = 100;

/// Prints figures to stdout.
pub struct FigurePrinter {
    pictures: Inline,
    columns: u16,
    rows: u16,
}

impl FigurePrinter {
    /// Creates a printer. Pictures are drawn as set on the command line, or else in the configuration, or else with the best protocol
    /// the terminal supports. If stdout is not a terminal, pictures are omitted unless the command line sets how to draw them.
    pub fn new(wish: Graphics) -> Result<Self> {
        let wish = match wish {
            Graphics::Auto if !on_terminal() => Graphics::NONE,
            Graphics::Auto => {
                let (config, warnings) = config::read();
                warnings.iter().for_each(|warning| out::tell(&format!("warning: {warning}")));
                config.graphics.unwrap_or_default()
            }
            asked => asked,
        };
        // Some terminals report a size of 0.
        let size = crossterm::terminal::size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0);
        let (columns, rows) = size.unwrap_or((80, 24));
        let rows = rows.saturating_sub(WORDS).clamp(1, ROWS);
        Ok(Self { pictures: Inline::new(wish), columns, rows })
    }

    /// Prints figures in order: pictures side by side, as many as fit, with their captions below; badges on one line; other text
    /// below its caption.
    pub fn show(&self, figures: &[Figure]) -> Result<()> {
        let mut row = vec![];
        for group in figures.chunk_by(|a, b| is_badge(a) && is_badge(b)) {
            if is_badge(&group[0]) {
                self.wall(&std::mem::take(&mut row))?;
                let badges: Vec<_> = group.iter().filter_map(|badge| render::text(badge, TEXT)).collect();
                say(&format!("\n{}", badges.join("   ")))?;
                continue;
            }
            let figure = &group[0];
            let text = render::text(figure, TEXT);
            let picture = if text.is_some() || !self.pictures.draws() { None } else { paint(figure) };
            match picture {
                Some(picture) => row.push((picture, render::caption(figure))),
                None => {
                    self.wall(&std::mem::take(&mut row))?;
                    say(&format!("\n{}", render::caption(figure)))?;
                    text.map_or(Ok(()), |text| say(&text))?;
                }
            }
        }
        self.wall(&row)
    }

    /// Prints pictures in rows.
    fn wall(&self, pictures: &[(RgbImage, String)]) -> Result<()> {
        let (count, most) = layout(pictures.len(), self.columns);
        // Pictures limited by their height are not as wide as their share of the terminal.
        let covered = pictures.iter().map(|(picture, _)| self.pictures.columns_of(picture, most, self.rows)).max();
        let width = covered.unwrap_or(most).max(LEAST.min(most));
        for row in pictures.chunks(count) {
            let left = |i: usize| i as u16 * (width + GAP);
            say("")?;
            out::written(match row {
                [(picture, _)] => self.pictures.draw(picture, width, self.rows),
                _ => {
                    let placed: Vec<_> = row.iter().enumerate().map(|(i, (picture, _))| (left(i), picture)).collect();
                    self.pictures.draw_row(&placed, width, self.rows)
                }
            })?;
            let room = if count == 1 { most } else { width };
            say(&captions(row.iter().map(|(_, caption)| caption.as_str()), usize::from(room)))?;
        }
        Ok(())
    }
}

fn is_badge(figure: &Figure) -> bool {
    matches!(figure.body, Body::Badge { .. })
}

fn paint(figure: &Figure) -> Option<RgbImage> {
    render::paint(figure, Colormap::default())
}

/// The number of pictures per row and the width of each, for a terminal with this number of columns. Rows are equally full as far
/// as possible.
fn layout(pictures: usize, columns: u16) -> (usize, u16) {
    let most = usize::from(((columns + GAP) / (LEAST + GAP)).max(1));
    let rows = pictures.div_ceil(most).max(1);
    let count = pictures.div_ceil(rows).max(1);
    let gaps = GAP * (count as u16 - 1);
    (count, (columns.saturating_sub(gaps) / count as u16).clamp(1, COLUMNS))
}

/// Captions side by side, each broken into lines of at most `width` columns.
fn captions<'a>(captions: impl Iterator<Item = &'a str>, width: usize) -> String {
    let all: Vec<_> = captions.map(|caption| wrapped(caption, width)).collect();
    let height = all.iter().map(Vec::len).max().unwrap_or(0);
    let line = |row: usize| {
        let cells = all.iter().map(|lines| {
            let text = lines.get(row).map_or("", String::as_str);
            format!("{text}{}", " ".repeat((width + usize::from(GAP)).saturating_sub(columns(text))))
        });
        cells.collect::<String>().trim_end().to_string()
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

/// Breaks text into lines of at most `width` columns, at spaces where possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| columns(line));
        match lines.last_mut() {
            Some(line) if last > 0 && last + 1 + columns(word) <= width => *line += &format!(" {word}"),
            Some(line) if last == 0 => *line += word,
            _ => lines.push(word.into()),
        }
        // A word that is wider than a line.
        while let Some(line) = lines.last_mut().filter(|line| columns(line) > width && line.chars().count() > 1) {
            let fits = |end: &usize| columns(&line[..*end]) <= width;
            let ends: Vec<_> = line.char_indices().map(|(at, _)| at).skip(1).collect();
            let end = ends.iter().copied().rfind(fits).unwrap_or(ends[0]);
            let rest = line.split_off(end);
            lines.push(rest);
        }
    }
    lines
}

/// The width of text in columns.
fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// Whether stdout is a terminal.
#[allow(clippy::disallowed_methods)]
pub fn on_terminal() -> bool {
    std::io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_wide_as_the_terminal_and_equally_full() {
        for (pictures, columns, expected) in [
            (1, 80, (1, 64)),
            (2, 80, (2, 39)),
            (3, 80, (2, 39)),
            (3, 140, (3, 45)),
            (6, 140, (3, 45)),
            (4, 200, (4, 48)),
            (2, 200, (2, 64)),
            (3, 20, (1, 20)),
            (3, 1, (1, 1)),
            (0, 80, (1, 64)),
        ] {
            assert_eq!(layout(pictures, columns), expected, "{pictures} in {columns}");
        }
    }

    #[test]
    fn captions_stay_in_the_columns_of_their_pictures() {
        let text = captions(["cam  0 to 0.48, from zero", "a", "猫猫猫猫猫猫猫"].into_iter(), 12);
        assert_eq!(text, "cam 0 to      a             猫猫猫猫猫猫\n0.48, from                  猫\nzero");
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("猫", 1), ["猫"], "a character wider than the line stays whole");
    }
}
