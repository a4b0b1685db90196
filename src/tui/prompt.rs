//! The line at the bottom: editing it, and reading it as a command.

use super::state::State;
use crate::render::{Colormap, Rescale};
use std::path::PathBuf;

/// What is typed or pasted beyond this length is left out.
const LONGEST: usize = 8192;

/// A line that is being typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// Whether it narrows a list down rather than giving a command.
    pub filter: bool,
    /// What is typed.
    pub text: String,
    /// Where the cursor is, in characters.
    pub cursor: usize,
    /// What it may go on as.
    pub offers: Vec<String>,
    /// What was wrong with it.
    pub wrong: Option<String>,
    /// How many lines back it was taken from.
    back: usize,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Order {
    Set(String, String),
    Model(String, Option<PathBuf>),
    Open(String),
    Target(String),
    Method(String),
    Layer(String),
    Colors(String),
    Scale(String),
    Step(usize),
    Save(PathBuf),
    Fork,
    Branch(String),
    Close,
    Compare(String),
    Session(String),
    Quit,
}

/// The commands there are: name, what follows, what they do.
pub const ORDERS: &[(&str, &str, &str)] = &[
    ("set", "NAME VALUE", "set a parameter of the method"),
    ("model", "NAME [WEIGHTS]", "open a model"),
    ("open", "PICTURE", "open a picture"),
    ("target", "CLASS", "explain this class; none: what the network says"),
    ("method", "NAME", "run a method"),
    ("layer", "NAME", "let the method look at this layer"),
    ("colors", "NAME", "draw maps in these colours"),
    ("scale", "NAME", "scale maps so: own, range, symmetric, percentile, shared"),
    ("step", "N", "go to a step (or just the number)"),
    ("save", "PLACE", "write all into a folder, a sheet.png, or the steps as a film.gif"),
    ("session", "NAME", "keep what is open, for gradscope --session NAME"),
    ("compare", "NAME", "another method or class beside this one"),
    ("fork", "", "begin a branch: go on in two ways"),
    ("branch", "LETTER", "open a branch"),
    ("close", "", "end the open branch"),
    ("q", "", "quit"),
];

/// Reads a line as a command; the error says what would have worked.
pub fn parse(line: &str) -> Result<Order, String> {
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    if let Ok(step) = name.parse() {
        return Ok(Order::Step(step));
    }
    let row = ORDERS.iter().find(|(n, ..)| *n == name || (*n == "q" && name == "quit"));
    let Some((name, wants, _)) = row else {
        let known: Vec<_> = ORDERS.iter().map(|(n, ..)| *n).collect();
        return Err(format!("no command named \"{name}\"; known are {}", known.join(", ")));
    };
    read(name, rest).ok_or_else(|| format!("\"{name}\" wants {wants}"))
}

fn read(name: &str, rest: &str) -> Option<Order> {
    let text = || (!rest.is_empty()).then(|| rest.to_owned());
    Some(match name {
        "set" => {
            let (key, value) = rest.split_once([' ', '=']).unwrap_or((rest, ""));
            Order::Set((!key.is_empty()).then(|| key.to_owned())?, value.trim().to_owned())
        }
        "model" => {
            let (name, weights) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let weights = (!weights.is_empty()).then(|| PathBuf::from(weights.trim()));
            Order::Model((!name.is_empty()).then(|| name.to_owned())?, weights)
        }
        "open" => Order::Open(text()?),
        "target" => Order::Target(rest.to_owned()),
        "method" => Order::Method(text()?),
        "layer" => Order::Layer(text()?),
        "colors" => Order::Colors(text()?),
        "scale" => Order::Scale(text()?),
        "step" => Order::Step(rest.parse().ok()?),
        "save" => Order::Save(text()?.into()),
        "fork" => Order::Fork,
        "branch" => Order::Branch(text()?),
        "close" => Order::Close,
        "compare" => Order::Compare(text()?),
        "session" => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            Order::Session(text().filter(|name| name.chars().all(plain))?)
        }
        _ => Order::Quit,
    })
}

/// What the last word of a line may become, from what the state knows; paths are not known here.
pub fn offers(state: &State, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let last = words.last().copied().unwrap_or("");
    let names: Vec<String> = match words.as_slice() {
        [_] => ORDERS.iter().map(|(n, ..)| (*n).to_owned()).collect(),
        ["set", _] => state.params().iter().map(|p| p.name.clone()).collect(),
        ["model", _] => state.models.iter().map(|m| m.name.clone()).collect(),
        ["method" | "compare", _] => state.methods.iter().map(|m| m.name.clone()).collect(),
        ["layer", _] => state.layer_param().map_or_else(Vec::new, |(_, kinds)| state.layers_of(kinds)),
        ["scale", _] => Rescale::ALL.iter().map(|s| s.name().to_owned()).collect(),
        ["colors", _] => Colormap::ALL.iter().map(|c| c.name().to_owned()).collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter(|n| n.starts_with(last)).collect()
}

/// Whether the last word of a line is a path.
pub fn wants_path(line: &str) -> bool {
    let words = line.split(' ').count();
    (words >= 2 && ["open ", "save "].iter().any(|c| line.starts_with(c))) || (words >= 3 && line.starts_with("model "))
}

impl Prompt {
    /// A command that begins like this.
    pub fn command(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.chars().count(), text, ..Self::default() }
    }

    /// A filter that begins like this.
    pub fn filter(text: impl Into<String>) -> Self {
        Self { filter: true, ..Self::command(text) }
    }

    /// Puts text in at the cursor.
    pub fn insert(&mut self, text: &str) {
        let at = self.byte();
        let room = LONGEST.saturating_sub(self.text.len());
        let text: String = text.chars().filter(|c| !c.is_control()).take(room).collect();
        self.text.insert_str(at, &text);
        self.cursor += text.chars().count();
        self.changed();
    }

    /// Deletes the character to the left; false when there is nothing at all.
    pub fn rub(&mut self) -> bool {
        if self.text.is_empty() {
            return false;
        }
        if self.cursor > 0 {
            self.cursor -= 1;
            self.delete();
        }
        true
    }

    /// Deletes the character to the right.
    pub fn delete(&mut self) {
        let at = self.byte();
        if at < self.text.len() {
            self.text.remove(at);
        }
        self.changed();
    }

    /// Deletes the word to the left.
    pub fn rub_word(&mut self) {
        let left: String = self.text[..self.byte()].to_owned();
        let kept = left.trim_end().rfind(' ').map_or(0, |at| at + 1);
        self.text.replace_range(kept..left.len(), "");
        self.cursor = self.text[..kept].chars().count();
        self.changed();
    }

    /// Takes an earlier line, or a later one; after the last it is empty.
    pub fn recall(&mut self, lines: &[String], by: i32) {
        let back = self.back.saturating_add_signed(-by as isize).min(lines.len());
        let line = lines.len().checked_sub(back).and_then(|at| lines.get(at)).cloned().unwrap_or_default();
        *self = Self { back, ..Self::command(line) };
    }

    /// Deletes all.
    pub fn clear(&mut self) {
        *self = Self { filter: self.filter, ..Self::default() };
    }

    /// Moves the cursor.
    pub fn step(&mut self, by: i32) {
        self.cursor = self.cursor.saturating_add_signed(by as isize).min(self.text.chars().count());
    }

    /// Takes what all offers begin with as the last word, and shows them when there are several.
    pub fn complete(&mut self, offers: Vec<String>) {
        let Some(common) = common_start(&offers) else {
            self.offers.clear();
            return;
        };
        let kept = self.text.rfind(' ').map_or(0, |at| at + 1);
        if common.len() > self.text.len() - kept {
            self.text.replace_range(kept.., &common);
        }
        if let [only] = offers.as_slice()
            && !only.ends_with('/')
            && !self.text.ends_with(' ')
        {
            self.text.push(' ');
        }
        self.cursor = self.text.chars().count();
        self.changed();
        self.offers = if offers.len() > 1 { offers } else { Vec::new() };
    }

    fn changed(&mut self) {
        self.offers.clear();
        self.wrong = None;
    }

    fn byte(&self) -> usize {
        self.text.char_indices().nth(self.cursor).map_or(self.text.len(), |(at, _)| at)
    }
}

fn common_start(words: &[String]) -> Option<String> {
    let first = words.first()?;
    let same = |word: &String| first.chars().zip(word.chars()).take_while(|(a, b)| a == b).count();
    let length = words.iter().map(same).min()?;
    Some(first.chars().take(length).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_commands() {
        let cases = [
            ("set epsilon 8", Order::Set("epsilon".into(), "8".into())),
            ("set goal=", Order::Set("goal".into(), String::new())),
            ("model resnet20 a/b.th", Order::Model("resnet20".into(), Some("a/b.th".into()))),
            ("open a picture.png", Order::Open("a picture.png".into())),
            ("target", Order::Target(String::new())),
            ("25", Order::Step(25)),
            (" quit ", Order::Quit),
        ];
        for (line, order) in cases {
            assert_eq!(parse(line), Ok(order), "{line}");
        }
    }

    #[test]
    fn what_does_not_read_says_what_would() {
        assert!(parse("sett a 1").unwrap_err().contains("known are set, model"));
        assert_eq!(parse("open").unwrap_err(), "\"open\" wants PICTURE");
    }

    #[test]
    fn a_line_is_edited_where_the_cursor_is() {
        let mut prompt = Prompt::command("opn größe");
        prompt.step(-7);
        prompt.insert("e");
        assert_eq!(prompt.text, "open größe");
        prompt.step(100);
        prompt.rub_word();
        assert_eq!((prompt.text.as_str(), prompt.cursor), ("open ", 5));
    }

    #[test]
    fn a_flood_of_letters_makes_no_endless_line() {
        let mut prompt = Prompt::command("");
        (0..30_000).for_each(|_| prompt.insert("x"));
        prompt.insert(&"é".repeat(100_000));
        assert_eq!((prompt.text.len(), prompt.cursor), (LONGEST, LONGEST));
    }

    #[test]
    fn earlier_lines_come_back_the_latest_first() {
        let lines = ["set epsilon 8".to_owned(), "25".to_owned()];
        let mut prompt = Prompt::command("");
        let mut seen = Vec::new();
        for by in [-1, -1, -1, 1, 1] {
            prompt.recall(&lines, by);
            seen.push(prompt.text.clone());
        }
        assert_eq!(seen, ["25", "set epsilon 8", "set epsilon 8", "25", ""]);
    }

    #[test]
    fn tab_completes_as_far_as_it_is_clear() {
        let mut prompt = Prompt::command("open ph");
        prompt.complete(vec!["photos/dog.png".into(), "photos/duck.png".into()]);
        assert_eq!((prompt.text.as_str(), prompt.offers.len()), ("open photos/d", 2));
        prompt.complete(vec!["photos/dog.png".into()]);
        assert_eq!(prompt.text, "open photos/dog.png ");
    }
}
