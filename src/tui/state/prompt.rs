//! The state of the prompt at the bottom of the screen, and its editing.

/// The maximum length in bytes.
const LONGEST: usize = 8192;

/// A line being typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// Whether it filters a list instead of being a command.
    pub filter: bool,
    /// The text.
    pub text: String,
    /// The position of the cursor, in characters.
    pub cursor: usize,
    /// Possible completions of the last word.
    pub offers: Vec<String>,
    /// The error of the last attempt to run it.
    pub wrong: Option<String>,
    /// The position in the history, counted from the latest.
    back: usize,
}

impl Prompt {
    /// A command line with this text.
    pub fn command(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.chars().count(), text, ..Self::default() }
    }

    /// A filter with this text.
    pub fn filter(text: impl Into<String>) -> Self {
        Self { filter: true, ..Self::command(text) }
    }

    /// Inserts text at the cursor.
    pub fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text.len());
        if room == 0 {
            return;
        }
        let at = self.byte();
        let text: String = text.chars().filter(|c| !c.is_control()).take(room).collect();
        self.text.insert_str(at, &text);
        self.cursor += text.chars().count();
        self.changed();
    }

    /// Deletes the character to the left.
    pub fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.delete();
        }
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
    pub fn delete_word(&mut self) {
        let left: String = self.text[..self.byte()].to_owned();
        let kept = left.trim_end().rfind(' ').map_or(0, |at| at + 1);
        self.text.replace_range(kept..left.len(), "");
        self.cursor = self.text[..kept].chars().count();
        self.changed();
    }

    /// Replaces the text by an earlier or later line of the history; after the latest it is empty.
    pub fn recall(&mut self, lines: &[String], by: i32) {
        let back = self.back.saturating_add_signed(-by as isize).min(lines.len());
        let line = lines.len().checked_sub(back).and_then(|at| lines.get(at)).cloned().unwrap_or_default();
        *self = Self { back, ..Self::command(line) };
    }

    /// Deletes the whole line.
    pub fn clear(&mut self) {
        *self = Self { filter: self.filter, ..Self::default() };
    }

    /// Moves the cursor.
    pub fn step(&mut self, by: i32) {
        self.cursor = self.cursor.saturating_add_signed(by as isize).min(self.text.chars().count());
    }

    /// Extends the last word by what all completions have in common, and lists them if there are several.
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
    fn a_line_is_edited_where_the_cursor_is() {
        let mut prompt = Prompt::command("opn größe");
        prompt.step(-7);
        prompt.insert("e");
        assert_eq!(prompt.text, "open größe");
        prompt.step(100);
        prompt.delete_word();
        assert_eq!((prompt.text.as_str(), prompt.cursor), ("open ", 5));
    }

    #[test]
    fn the_length_of_a_line_is_limited() {
        let mut prompt = Prompt::command("");
        (0..30_000).for_each(|_| prompt.insert("x"));
        prompt.insert(&"é".repeat(100_000));
        assert_eq!((prompt.text.len(), prompt.cursor), (LONGEST, LONGEST));
    }

    #[test]
    fn the_history_is_recalled_latest_first() {
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
    fn tab_completes_the_common_prefix() {
        let mut prompt = Prompt::command("open ph");
        prompt.complete(vec!["photos/dog.png".into(), "photos/duck.png".into()]);
        assert_eq!((prompt.text.as_str(), prompt.offers.len()), ("open photos/d", 2));
        prompt.complete(vec!["photos/dog.png".into()]);
        assert_eq!(prompt.text, "open photos/dog.png ");
    }
}
