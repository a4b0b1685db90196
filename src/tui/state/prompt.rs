//! The line at the bottom of the screen, and how it is edited.

use tui_input::{Input, InputRequest};

/// The longest line, in bytes.
const LONGEST: usize = 8192;

/// A line being typed.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// Whether it filters a list instead of being a command.
    pub filter: bool,
    /// The text, and the cursor in it.
    pub input: Input,
    /// Possible completions of the last word.
    pub offers: Vec<String>,
    /// The error that it caused.
    pub wrong: Option<String>,
    /// How far back in the history it was taken from.
    back: usize,
}

impl Prompt {
    /// A command line with this text.
    pub fn command(text: impl Into<String>) -> Self {
        Self { input: Input::new(text.into()), ..Self::default() }
    }

    /// A filter with this text.
    pub fn filter(text: impl Into<String>) -> Self {
        Self { filter: true, ..Self::command(text) }
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Inserts text at the cursor, without control characters.
    pub fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text().len());
        text.chars().filter(|c| !c.is_control()).take(room).for_each(|c| self.edit(InputRequest::InsertChar(c)));
    }

    /// Moves the cursor, or deletes.
    pub fn edit(&mut self, request: InputRequest) {
        if self.input.handle(request).is_some_and(|change| change.value) {
            self.changed();
        }
    }

    /// Replaces the text by an earlier or later line of the history; after the latest it is empty.
    pub fn recall(&mut self, lines: &[String], by: i32) {
        let back = self.back.saturating_add_signed(-by as isize).min(lines.len());
        let line = lines.len().checked_sub(back).and_then(|at| lines.get(at)).cloned().unwrap_or_default();
        *self = Self { back, ..Self::command(line) };
    }

    /// Extends the last word by what all completions have in common, and lists them if there are several.
    pub fn complete(&mut self, offers: Vec<String>) {
        let Some(common) = common_start(&offers) else {
            self.offers.clear();
            return;
        };
        let mut text = self.text().to_owned();
        let kept = text.rfind(' ').map_or(0, |at| at + 1);
        if common.len() > text.len() - kept {
            text.replace_range(kept.., &common);
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
    }

    fn changed(&mut self) {
        self.offers.clear();
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
    fn a_line_is_edited_where_the_cursor_is() {
        let mut prompt = Prompt::command("opn größe");
        (0..7).for_each(|_| prompt.edit(InputRequest::GoToPrevChar));
        prompt.insert("e");
        assert_eq!(prompt.text(), "open größe");
        prompt.edit(InputRequest::GoToEnd);
        prompt.edit(InputRequest::DeletePrevWord);
        assert_eq!((prompt.text(), prompt.input.cursor()), ("open ", 5));
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
    fn what_is_read_as_one_letter_is_one_step_however_many_characters_it_has() {
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
    fn a_flood_of_letters_makes_no_endless_line() {
        let mut prompt = Prompt::command("");
        (0..30_000).for_each(|_| prompt.insert("x"));
        prompt.insert(&"é".repeat(100_000));
        assert_eq!((prompt.text().len(), prompt.input.cursor()), (LONGEST, LONGEST));
    }

    #[test]
    fn earlier_lines_come_back_the_latest_first() {
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
    fn tab_completes_as_far_as_it_is_clear() {
        let mut prompt = Prompt::command("open ph");
        prompt.complete(vec!["photos/dog.png".into(), "photos/duck.png".into()]);
        assert_eq!((prompt.text(), prompt.offers.len()), ("open photos/d", 2));
        prompt.complete(vec!["photos/dog.png".into()]);
        assert_eq!(prompt.text(), "open photos/dog.png ");
    }
}
