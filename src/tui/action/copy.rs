//! Copies to the terminal's clipboard: the value under the ring, a table, the path of the latest saved file, or the command line that
//! computes what is on the screen.

use crate::render::{self, Body};
use crate::tui::effect::Effect;
use crate::tui::state::{Choice, Item, Pane, Picker, Popup, State, Tone};

/// Opens the list of what can be copied.
pub fn open(state: &mut State) -> Vec<Effect> {
    let mut items = Vec::new();
    if let Some(value) = reading(state) {
        items.push(Item::new(&value, "value at the ring", &value));
    }
    let about = match state.command_line.1 {
        true => "computes what is on the screen, without the app",
        false => "starts anew: a parameter was changed between steps",
    };
    items.push(Item::new(&command_line(state), "command line", about));
    for (title, table) in tables(state) {
        items.push(Item::new(&table, &title, "as tab-separated values"));
    }
    if let Some(path) = saved(state) {
        items.push(Item::new(&path, "path of the latest saved file", &path));
    }
    state.popup = Some(Popup::Picker(Picker::new(Choice::Copy, "copy", items, "")));
    Vec::new()
}

/// Copies a text.
pub fn take(state: &mut State, text: String) -> Vec<Effect> {
    let first = text.lines().next().unwrap_or_default().to_owned();
    let more = text.lines().count().saturating_sub(1);
    state.say(if more > 0 { format!("copied {} lines", more + 1) } else { format!("copied: {first}") });
    vec![Effect::Copy(text)]
}

/// The values at the ring in the first picture, if there is a ring.
fn reading(state: &State) -> Option<String> {
    let mark = state.lens.mark?;
    state
        .visible
        .figures
        .iter()
        .find_map(|visible| render::read(&visible.figure, mark))
        .map(|reading| reading.to_string())
}

/// The tables on the screen, the focused panel's first, as tab-separated values.
fn tables(state: &State) -> Vec<(String, String)> {
    let classes =
        state.classes().iter().map(|row| format!("{}\t{}\t{}\t{}", row.class, row.label, row.probability, row.logit));
    let classes: Vec<_> = ["class\tname\tprobability\tlogit".to_owned()].into_iter().chain(classes).collect();
    let params = state.params().iter().map(|param| format!("{}\t{}", param.name, state.value(param)));
    let params: Vec<_> = ["parameter\tvalue".to_owned()].into_iter().chain(params).collect();
    let mut all = vec![("classes".to_owned(), classes), ("parameters".to_owned(), params)];
    for visible in &state.visible.figures {
        let figure = &visible.figure;
        let rows = match &figure.body {
            Body::Table { columns, rows } => {
                std::iter::once(columns.join("\t")).chain(rows.iter().map(|row| row.join("\t"))).collect()
            }
            Body::Bars { bars } => bars.iter().map(|bar| format!("{}\t{}", bar.label, bar.value)).collect(),
            _ => continue,
        };
        all.push((figure.words().into_owned(), rows));
    }
    let focused = |title: &str| match title {
        "classes" => state.focus == Pane::CLASSES,
        "parameters" => state.focus == Pane::PARAMETERS,
        _ => state.focus == Pane::FIGURES,
    };
    all.retain(|(_, rows)| rows.len() > 1);
    all.sort_by_key(|(title, _)| !focused(title));
    all.into_iter().map(|(title, rows)| (title, rows.join("\n") + "\n")).collect()
}

/// The path of the file or folder that was saved last, from the log.
fn saved(state: &State) -> Option<String> {
    let lines = state.log.iter().rev().filter(|line| line.tone != Tone::Bad && line.text.starts_with("saved"));
    lines.filter_map(|line| line.text.split('"').nth(1)).next().map(str::to_owned)
}

/// The `gradscope run` command that computes what is on the screen.
pub fn command_line(state: &State) -> String {
    state.command_line.0.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("resnet18"), "resnet18");
        assert_eq!(quoted("my dog's.png"), r"'my dog'\''s.png'");
        assert_eq!([quoted(""), quoted("made:shapes[3]"), quoted("$HOME")], ["''", "'made:shapes[3]'", "'$HOME'"]);
    }
}
