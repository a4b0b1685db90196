//! Editing of the line in the prompt at the bottom of the screen.

use tui_input::{Input, InputRequest};

/// Maximum length of the line in bytes.
const LONGEST: usize = 8192;

/// A line being typed: a command or a filter.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// Whether the line is a filter rather than a command.
    pub filter: bool,
    /// The typed text and the cursor position.
    pub input: Input,
    /// Possible completions of the last word of the line.
    pub offers: Vec<String>,
    /// The byte of the line at which the text begins that the offers complete.
    offered_at: usize,
    /// The error of the last attempt to run the command.
    pub wrong: Option<String>,
    /// Position in the history, counted backward; 0 for a new line.
    back: usize,
}

impl Prompt {
    /// Creates a command line that contains `text`.
    pub fn command(text: impl Into<String>) -> Self {
        Self { input: Input::new(text.into()), ..Self::default() }
    }

    /// Creates a filter line that contains `text`.
    pub fn filter(text: impl Into<String>) -> Self {
        Self { filter: true, ..Self::command(text) }
    }

    /// The text typed so far.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Inserts a string at the cursor, dropping control characters.
    pub fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text().len());
        text.chars().filter(|c| !c.is_control()).take(room).for_each(|c| self.edit(InputRequest::InsertChar(c)));
    }

    /// Edits the line, or moves the cursor.
    pub fn edit(&mut self, request: InputRequest) {
        if self.input.handle(request).is_some_and(|change| change.value) {
            self.changed();
        }
    }

    /// Deletes the value before the cursor: the text after the command's name or, for `set`, after the parameter's name.
    pub fn delete_value(&mut self) {
        let text = self.text().to_owned();
        let words = if text.starts_with("set ") { 2 } else { 1 };
        let ends: Vec<usize> = text.match_indices(' ').map(|(at, _)| at + 1).collect();
        let start = if self.filter { 0 } else { ends.get(words - 1).copied().unwrap_or(0) };
        let cursor = text.char_indices().nth(self.input.cursor()).map_or(text.len(), |(at, _)| at);
        // A second press deletes the command as well.
        let start = if start < cursor { start } else { 0 };
        let kept = format!("{}{}", &text[..start], &text[cursor..]);
        self.input = Input::new(kept).with_cursor(text[..start].chars().count());
        self.changed();
    }

    /// Replaces the line with an earlier or later line of the history. The entry after the latest line is empty.
    pub fn recall(&mut self, lines: &[String], by: i32) {
        let back = self.back.saturating_add_signed(-by as isize).min(lines.len());
        let line = lines.len().checked_sub(back).and_then(|at| lines.get(at)).cloned().unwrap_or_default();
        *self = Self { back, ..Self::command(line) };
    }

    /// Completes `text`, the end of the line, with the files that were found; without `insert`, only lists them. Does nothing if the
    /// line has changed since.
    pub fn found(&mut self, text: &str, offers: Vec<String>, insert: bool) {
        let Some(start) = self.text().len().checked_sub(text.len()).filter(|_| self.text().ends_with(text)) else {
            return;
        };
        match insert {
            true => self.complete(start, offers),
            // What is already typed completely is no offer.
            false => {
                self.offers = offers.into_iter().filter(|offer| offer != text).collect();
                self.offered_at = start;
            }
        }
    }

    /// Completes the last word, which begins at byte `start`, to the longest common prefix of the candidates, listing them if there are several.
    pub fn complete(&mut self, start: usize, offers: Vec<String>) {
        let Some(common) = common_start(&offers) else {
            self.offers.clear();
            return;
        };
        let mut text = self.text().to_owned();
        if text.get(start..).is_some_and(|word| common.len() > word.len()) {
            text.replace_range(start.., &common);
        }
        if let [only] = offers.as_slice()
            && !only.ends_with('/')
            && !text.ends_with(' ')
        {
            text.push(' ');
        }
        self.input = Input::new(text);
        self.changed();
        self.offers = if offers.len() > 1 { offers } else { Vec::new() };
        self.offered_at = start;
    }

    /// Keeps the offers that still complete the line, until others arrive.
    fn changed(&mut self) {
        let text = self.input.value().get(self.offered_at..);
        self.offers.retain(|offer| text.is_some_and(|text| offer.starts_with(text) && offer != text));
        self.wrong = None;
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
    fn a_line_is_edited_at_the_cursor() {
        let mut prompt = Prompt::command("opn größe");
        (0..7).for_each(|_| prompt.edit(InputRequest::GoToPrevChar));
        prompt.insert("e");
        assert_eq!(prompt.text(), "open größe");
        prompt.edit(InputRequest::GoToEnd);
        prompt.edit(InputRequest::DeletePrevWord);
        assert_eq!((prompt.text(), prompt.input.cursor()), ("open ", 5));
    }

    #[test]
    fn the_value_is_deleted_without_the_command() {
        let mut prompt = Prompt::command("set epsilon 8 ");
        prompt.delete_value();
        assert_eq!(prompt.text(), "set epsilon ");
        prompt.delete_value();
        assert_eq!(prompt.text(), "", "a second time deletes the command");
        let mut prompt = Prompt::command("target tiger cat");
        prompt.delete_value();
        assert_eq!((prompt.text(), prompt.input.cursor()), ("target ", 7));
    }

    #[test]
    fn a_path_loses_one_folder_at_a_time() {
        let mut prompt = Prompt::command("open photos/größe 1/dog.png");
        for left in ["open photos/größe 1/", "open photos/größe ", "open photos/", "open ", ""] {
            prompt.edit(InputRequest::DeletePrevWord);
            assert_eq!(prompt.text(), left);
        }
    }

    #[test]
    fn the_cursor_moves_by_grapheme_clusters() {
        let mut prompt = Prompt::command("");
        prompt.insert("猫e\u{301}👩\u{200d}🔬");
        let columns = |prompt: &Prompt| prompt.input.visual_cursor();
        let mut seen = vec![columns(&prompt)];
        (0..3).for_each(|_| {
            prompt.edit(InputRequest::GoToPrevChar);
            seen.push(columns(&prompt));
        });
        assert_eq!(seen, [5, 3, 2, 0]);
        prompt.edit(InputRequest::GoToEnd);
        prompt.edit(InputRequest::DeletePrevChar);
        prompt.edit(InputRequest::DeletePrevChar);
        assert_eq!(prompt.text(), "猫");
    }

    #[test]
    fn the_length_of_a_line_is_limited() {
        let mut prompt = Prompt::command("");
        (0..30_000).for_each(|_| prompt.insert("x"));
        prompt.insert(&"é".repeat(100_000));
        assert_eq!((prompt.text().len(), prompt.input.cursor()), (LONGEST, LONGEST));
    }

    #[test]
    fn the_history_is_recalled_latest_first() {
        let lines = ["set epsilon 8".to_owned(), "25".to_owned()];
        let mut prompt = Prompt::command("");
        let mut seen = Vec::new();
        for by in [-1, -1, -1, 1, 1] {
            prompt.recall(&lines, by);
            seen.push(prompt.text().to_owned());
        }
        assert_eq!(seen, ["25", "set epsilon 8", "set epsilon 8", "25", ""]);
    }

    #[test]
    fn tab_completes_the_common_prefix() {
        let mut prompt = Prompt::command("open ph");
        prompt.complete(5, vec!["photos/dog.png".into(), "photos/duck.png".into()]);
        assert_eq!((prompt.text(), prompt.offers.len()), ("open photos/d", 2));
        prompt.complete(5, vec!["photos/dog.png".into()]);
        assert_eq!(prompt.text(), "open photos/dog.png ");
    }

    #[test]
    fn files_are_offered_while_typing_unless_the_line_has_changed() {
        let mut prompt = Prompt::command("open a ph");
        let offers = || vec!["a photo.png".to_owned(), "a phone.png".to_owned()];
        prompt.found("a ph", offers(), false);
        assert_eq!((prompt.text(), prompt.offers.len()), ("open a ph", 2));
        prompt.found("a ph", offers(), true);
        assert_eq!(prompt.text(), "open a pho");
        prompt.insert("t");
        assert_eq!(prompt.offers, ["a photo.png"], "offers that still fit stay");
        prompt.insert("x");
        prompt.found("a pho", offers(), false);
        assert!(prompt.offers.is_empty());
    }
}
