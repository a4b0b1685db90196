//! The grammar of target expressions.

use crate::words;
use anyhow::{Context, Error, Result, bail, ensure};
use std::str::FromStr;

/// The forms of a target, for help and error messages.
pub const USAGE: &str = "CLASS, CLASS - CLASS, CLASS + CLASS, CLASS @ X,Y, CLASS @ X0,Y0,X1,Y1, CLASS in MASK.png, max CLASS, output N, \
                         like:PICTURE, text:FILE.npy[ROW]";

/// A sum of terms, each added or subtracted.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetExpression {
    /// The terms, at least one.
    pub terms: Vec<Term>,
}

/// A term of a target expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Whether the quantity is subtracted.
    pub negative: bool,
    /// The quantity that is added or subtracted.
    pub quantity: Quantity,
}

/// A scalar of a network's output.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// The score of a class, given by index or name. An empty name selects the only channel of a map.
    Class {
        /// Index or name of the class.
        name: String,
        /// The region of the map of scores.
        region: Region,
    },
    /// One element of the network's output, such as a regression value, by its index in the flattened output.
    Output(usize),
    /// The cosine similarity of the network's output to its output for another picture.
    Like(String),
    /// The cosine similarity of the network's output to an embedding in a `.npy` file: `FILE`, or `FILE[ROW]` of a matrix.
    Text(String),
}

/// The region of a map of scores that a target refers to. Coordinates are pixels of the network's input, from the top left.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// The network has one score per class.
    None,
    /// The position that covers the pixel `(x, y)`.
    Point(usize, usize),
    /// The mean over the positions that cover pixels `x0..=x1` and `y0..=y1`.
    Box([usize; 4]),
    /// The mean over the positions at which the picture in this file is brighter than one half.
    Mask(String),
    /// The maximum over all positions or boxes.
    Max,
}

impl FromStr for TargetExpression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let terms = signed(text).into_iter().map(|(negative, part)| Ok(Term { negative, quantity: quantity(&part)? }));
        let terms = terms.collect::<Result<_>>();
        let reading = || format!("reading the target \"{}\"; a target is one of: {USAGE}", words::name(text));
        Ok(Self { terms: terms.with_context(reading)? })
    }
}

impl TargetExpression {
    /// Whether a term selects positions by coordinates or by a mask.
    pub fn has_places(&self) -> bool {
        let named = |region: &Region| !matches!(region, Region::None | Region::Max);
        self.terms.iter().any(|t| matches!(&t.quantity, Quantity::Class { region, .. } if named(region)))
    }

    /// Whether `text` is a valid expression other than the name of a class.
    pub fn is_more_than_a_class(text: &str) -> bool {
        let plain = |e: Self| {
            matches!(&e.terms[..], [Term { negative: false, quantity: Quantity::Class { region: Region::None, .. } }])
        };
        text.parse().is_ok_and(|e| !plain(e))
    }
}

/// Splits a sum at the plus and minus signs that are surrounded by spaces and outside quotation marks.
fn signed(text: &str) -> Vec<(bool, String)> {
    let text = text.trim();
    let (mut negative, text) = match text.strip_prefix("- ") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mut terms, mut term, mut quoted) = (vec![], String::new(), false);
    for word in text.split(' ') {
        quoted ^= word.matches('"').count() % 2 == 1;
        match word {
            "+" | "-" if !quoted && !term.is_empty() => {
                terms.push((negative, std::mem::take(&mut term)));
                negative = word == "-";
            }
            _ => {
                term.push_str(if term.is_empty() { "" } else { " " });
                term.push_str(word);
            }
        }
    }
    terms.push((negative, term));
    terms
}

fn quantity(text: &str) -> Result<Quantity> {
    let text = text.trim();
    ensure!(!text.is_empty(), "a term is empty");
    if let Some(picture) = text.strip_prefix("like:") {
        return Ok(Quantity::Like(named(picture, "like: needs a picture")?));
    }
    if let Some(file) = text.strip_prefix("text:") {
        return Ok(Quantity::Text(named(file, "text: needs a .npy file")?));
    }
    if let Some(index) = text.strip_prefix("output ").map(str::trim).filter(|rest| !rest.is_empty()) {
        let index = index.parse().with_context(|| format!("\"{index}\" is not the index of an output value"))?;
        return Ok(Quantity::Output(index));
    }
    let class = |name: &str, region| Quantity::Class { name: unquoted(name).into(), region };
    if let Some(name) = text.strip_prefix("max").filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
        return Ok(class(name, Region::Max));
    }
    if text.starts_with('"') && text.ends_with('"') && text.len() > 1 {
        return Ok(class(text, Region::None));
    }
    if let Some((name, coordinates)) = text.rsplit_once('@') {
        return Ok(class(name, region(coordinates)?));
    }
    let masked = text.rsplit_once(" in ").or_else(|| Some((text.strip_suffix(" in")?, "")));
    if let Some((name, mask)) = masked.or_else(|| Some(("", text.strip_prefix("in ")?))) {
        return Ok(class(name, Region::Mask(named(mask, "\"in\" needs a mask, such as MASK.png")?)));
    }
    Ok(class(text, Region::None))
}

/// A point or a box, from two or four coordinates.
fn region(text: &str) -> Result<Region> {
    let numbers = text.split(',').map(|part| part.trim().parse::<usize>());
    let numbers: Vec<_> = numbers.collect::<Result<_, _>>().with_context(|| {
        format!("\"{}\" is not a point or a box; expected x,y or x0,y0,x1,y1 in pixels", words::name(text.trim()))
    })?;
    match numbers[..] {
        [x, y] => Ok(Region::Point(x, y)),
        [x0, y0, x1, y1] if x0 <= x1 && y0 <= y1 => Ok(Region::Box([x0, y0, x1, y1])),
        [_, _, _, _] => bail!("the box {} is empty; expected x0,y0,x1,y1 with x0 <= x1 and y0 <= y1", text.trim()),
        _ => bail!("got {} coordinates; expected x,y or x0,y0,x1,y1 in pixels", numbers.len()),
    }
}

/// Strips spaces and quotation marks from a name. Errors with `missing` if it is empty.
fn named(text: &str, missing: &'static str) -> Result<String> {
    let name = unquoted(text);
    ensure!(!name.is_empty(), missing);
    Ok(name.into())
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, region: Region) -> Quantity {
        Quantity::Class { name: name.into(), region }
    }

    fn terms(text: &str) -> Vec<(bool, Quantity)> {
        text.parse::<TargetExpression>().unwrap().terms.into_iter().map(|t| (t.negative, t.quantity)).collect()
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(terms("cat"), [(false, class("cat", Region::None))]);
        assert_eq!(terms("cat - dog"), [(false, class("cat", Region::None)), (true, class("dog", Region::None))]);
        assert_eq!(terms("- 3 + T-shirt"), [(true, class("3", Region::None)), (false, class("T-shirt", Region::None))]);
        assert_eq!(terms("person @ 12, 7"), [(false, class("person", Region::Point(12, 7)))]);
        assert_eq!(terms("@1,2"), [(false, class("", Region::Point(1, 2)))]);
        assert_eq!(terms("person @ 0,1,2,3"), [(false, class("person", Region::Box([0, 1, 2, 3])))]);
        assert_eq!(terms("man in suit in a b.png"), [(false, class("man in suit", Region::Mask("a b.png".into())))]);
        assert_eq!(terms("in mask.png"), [(false, class("", Region::Mask("mask.png".into())))]);
        assert_eq!(terms("max face"), [(false, class("face", Region::Max))]);
        assert_eq!(terms("max"), [(false, class("", Region::Max))]);
        assert_eq!(terms("maximum"), [(false, class("maximum", Region::None))]);
        assert_eq!(terms("output 4"), [(false, Quantity::Output(4))]);
        assert_eq!(terms("like:other.jpg"), [(false, Quantity::Like("other.jpg".into()))]);
        assert_eq!(terms("text:\"a - b.npy[2]\""), [(false, Quantity::Text("a - b.npy[2]".into()))]);
        assert_eq!(terms("\"black - white\" - b")[0].1, class("black - white", Region::None));
    }

    #[test]
    fn malformed_targets_are_errors_that_list_the_forms() {
        for text in [
            "",
            "cat - ",
            "cat @ 1",
            "cat @ a,b",
            "cat @ 5,5,1,1",
            "like:",
            "text:",
            "output x",
            "cat in ",
            "a @ 1,2,3",
        ] {
            let error = text.parse::<TargetExpression>().err().map(|e| format!("{e:#}"));
            assert!(error.as_ref().is_some_and(|e| e.contains("CLASS @ X,Y")), "{text}: {error:?}");
        }
    }

    #[test]
    fn only_other_forms_are_more_than_a_class() {
        for (text, more) in
            [("cat", false), ("\"a - b\"", false), ("a - b", true), ("- a", true), ("max", true), ("", false)]
        {
            assert_eq!(TargetExpression::is_more_than_a_class(text), more, "{text}");
        }
    }
}
