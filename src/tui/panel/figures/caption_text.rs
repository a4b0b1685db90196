//! What a caption says in the rows that it has: the title, shortened or wrapped, and beside or below it the details.

use crate::render::{Body, Figure};
use crate::tui::state::{VisibleFigure, shape};
use crate::tui::view::widget::{cut, cut_middle};
use std::borrow::Cow;

/// A row of a caption: a part of the title, and the details at its right. A row without a title has the details at its left.
pub type CaptionRow = (String, String);

/// Maximum number of rows for a title.
const TITLE: usize = 3;

/// The rows of a caption with this title in `width` columns, at most `rows`. `details` are the possible details from the longest to the
/// shortest; the first one that fits is chosen. If the longest does not fit beside the title, details get a row of their own.
pub fn rows(title: &str, details: &[String], width: usize, rows: usize) -> Vec<CaptionRow> {
    let length = |text: &str| text.chars().count();
    let gap = usize::from(!title.is_empty());
    let beside = |details: &&String| match details.is_empty() {
        true => length(title) <= width,
        false => length(title) + gap + length(details) <= width,
    };
    let longest = details.first().map_or("", String::as_str);
    let fitting = details.iter().find(|details| length(details) <= width).or(details.last());
    if details.first().is_some_and(|first| beside(&first)) || rows < 2 {
        let shortest = details.last().map_or("", String::as_str);
        let chosen = details.iter().find(beside).map_or(shortest, String::as_str);
        let taken = if chosen.is_empty() { 0 } else { length(chosen) + 1 };
        return vec![(shortened(title, width.saturating_sub(taken)).into_owned(), chosen.to_owned())];
    }
    let below = usize::from(!longest.is_empty());
    let mut all: Vec<_> = wrapped(title, width, (rows - below).min(TITLE), shortened)
        .into_iter()
        .map(|line| (line, String::new()))
        .collect();
    let last = all.last_mut().filter(|(line, _)| below > 0 && length(line) + 1 + length(longest) <= width);
    match (last, fitting) {
        (Some(last), _) => last.1 = longest.to_owned(),
        (None, Some(details)) if below > 0 => all.push((String::new(), details.clone())),
        (None, _) => {}
    }
    all
}

/// Cuts a title to `width` characters: a single word at its end, and names and sentences in the middle, where they differ least.
pub fn shortened(title: &str, width: usize) -> Cow<'_, str> {
    let word = title.chars().all(char::is_alphabetic);
    if word { cut(title, width) } else { cut_middle(title, width) }
}

/// What is said about a figure beside its title, from the longest text to the shortest. Warnings and missing parts are in all of them.
/// If the scale is `shared` by all figures, that is said. `with_bar` if a colorbar shows the range.
pub fn details(visible: &VisibleFigure, shared: bool, with_bar: bool) -> Vec<String> {
    let VisibleFigure { figure, range, warning, .. } = visible;
    let unit = figure.quantity.unit.as_ref();
    let scale = match (range, &figure.body) {
        (Some(_), _) if shared => "shared scale".to_owned(),
        // In a unit, the range says so itself: ±8/255.
        (Some(range), _) if range.chosen == "symmetric" && unit.is_some() => String::new(),
        (Some(range), _) => range.chosen.to_owned(),
        (None, Body::Montage { .. }) => "scaled per tile".to_owned(),
        (None, Body::Image { pixels }) => shape(&pixels.shape),
        _ => String::new(),
    };
    let ends = unit.zip(range.filter(|range| !range.is_empty()));
    let ends = ends.map_or_else(String::new, |(unit, range)| unit.range(range.low, range.high));
    let channels = reduction(figure);
    let needed = warning.clone().into_iter().chain(figure.part()).collect::<Vec<_>>().join(", ");
    let most = if with_bar && !channels.is_empty() { &channels } else { &ends };
    let texts: [&[&String]; 6] =
        [&[&ends, &channels, &scale], &[&ends, &channels], &[&channels, &scale], &[most], &[&ends], &[&scale]];
    let text = |parts: &[&String]| {
        let parts = std::iter::once(&needed).chain(parts.iter().copied()).filter(|part| !part.is_empty());
        parts.map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    texts.into_iter().map(text).chain([needed.clone()]).collect()
}

/// How the channels of a map became one value per position; empty if there was only one channel.
fn reduction(figure: &Figure) -> String {
    match &figure.body {
        Body::Map { values, .. } => figure.quantity.channels.reduction(&values.shape).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The note of a heatmap, wrapped to the width of its tile; empty if there is no note.
pub fn note(figure: &Figure, width: usize) -> Vec<String> {
    match &figure.body {
        Body::Map { note, .. } => wrapped(note, width, 2, cut),
        _ => vec![],
    }
}

/// Wraps a string to at most `most` lines of `width` characters; the last one and words that are too long are shortened by `shorten`.
fn wrapped(text: &str, width: usize, most: usize, shorten: fn(&str, usize) -> Cow<'_, str>) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    // Keeps a percent sign on the same line as its number.
    let text = text.replace(" %", "\u{a0}%");
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    let rest = lines.split_off(lines.len().min(most.saturating_sub(1))).join(" ");
    lines.extend((!rest.is_empty() && most > 0).then_some(rest));
    lines.iter().map(|line| shorten(line, width).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(title: &str, details: &[&str], width: usize, most: usize) -> Vec<String> {
        let details: Vec<_> = details.iter().map(|text| (*text).to_owned()).collect();
        rows(title, &details, width, most).into_iter().map(|(left, right)| format!("{left}|{right}")).collect()
    }

    const DETAILS: [&str; 3] = ["±8/255, largest of 3 channels", "±8/255", ""];

    #[test]
    fn details_are_beside_the_title_if_they_fit_and_else_below() {
        assert_eq!(lines("perturbation", &DETAILS, 50, 3), ["perturbation|±8/255, largest of 3 channels"]);
        assert_eq!(lines("perturbation", &DETAILS, 30, 3), ["perturbation|", "|±8/255, largest of 3 channels"]);
        assert_eq!(lines("perturbation", &DETAILS, 22, 3), ["perturbation|", "|±8/255"]);
    }

    #[test]
    fn with_one_row_the_shorter_details_stay_beside_the_title() {
        assert_eq!(lines("perturbation", &DETAILS, 22, 1), ["perturbation|±8/255"]);
        assert_eq!(lines("perturbation", &DETAILS, 14, 1), ["perturbation|"]);
    }

    #[test]
    fn a_long_title_is_wrapped_and_else_shortened_in_the_middle() {
        let title = "per cell: evidence for the class";
        assert_eq!(lines(title, &["symmetric", ""], 20, 3), ["per cell: evidence|", "for the class|", "|symmetric"]);
        assert_eq!(lines(title, &["symmetric", ""], 24, 3), ["per cell: evidence for|", "the class|symmetric"]);
        assert_eq!(lines(title, &["symmetric", ""], 15, 2), ["per cel…e class|", "|symmetric"]);
        assert_eq!(lines(title, &["symmetric", ""], 15, 1), ["per cel…e class|"]);
        assert_eq!(lines("perturbation", &[""], 10, 1), ["perturbat…|"]);
        assert_eq!(lines("features.3.squeeze", &[""], 10, 1), ["feat…ueeze|"]);
    }

    #[test]
    fn warnings_are_never_left_out() {
        assert_eq!(
            lines("a long title", &["3 of 9 not finite, symmetric", "3 of 9 not finite"], 22, 1),
            ["a…le|3 of 9 not finite"]
        );
        assert_eq!(lines("title", &["256 of 320"], 6, 3), ["title|", "|256 of 320"]);
    }
}
