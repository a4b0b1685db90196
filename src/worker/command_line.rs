//! The `gradscope run` command that computes a result of the app.

use super::Worker;
use super::message::Update;
use crate::script::architecture::open_model::again;
use crate::script::method::data::Data;
use crate::script::session::workspace::Workspace;
use crate::script::session::{CommandLine, Session};
use serde_json::Value;
use std::path::Path;

impl Worker {
    /// The command that computes the result of `session`, whose network and picture are those of the open branch; `None` if no method is
    /// open, or if no single command computes it.
    pub(super) fn command_line(&self, session: &Session) -> Option<CommandLine> {
        let words = self.words(session).filter(|_| self.repeats(session))?;
        Some(CommandLine { words, folder: std::env::current_dir().ok() })
    }

    /// The session with the command that computes its result, for `result.json`.
    pub(super) fn with_command(&self, session: &Session) -> Session {
        let mut session = session.clone();
        self.command_line(&session).into_iter().for_each(|command| session.computed_by(command));
        session
    }

    /// Tells the app which command computes what is on the screen.
    pub(super) fn tell_command(&self) {
        let Some(words) = self.words(&self.session) else { return };
        self.tell(Update::CommandLine { words, repeats: self.repeats(&self.session) });
    }

    /// Whether a single command computes exactly the result of `session`.
    fn repeats(&self, session: &Session) -> bool {
        let labels = session.model().card.flags().labels.is_some();
        !session.mixed() && (!labels || self.origin.labels.is_some())
    }

    fn words(&self, session: &Session) -> Option<Vec<String>> {
        let file = self.origin.weights.as_deref();
        let open = Workspace::of(session, &self.origin.asked, file, self.no_resize)?;
        let method = session.method()?;
        let mut words: Vec<String> = ["gradscope", "run"].map(String::from).into();
        words.push(match method.source.path.as_deref().filter(|path| !self.is_found(&method.name, path)) {
            Some(path) => path.to_string_lossy().into_owned(),
            None => method.name.clone(),
        });
        let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
        let (name, weights) = again(&open.model, open.weights.as_deref());
        add("-m", name);
        weights.into_iter().for_each(|weights| add("-w", &weights.to_string_lossy()));
        self.origin.labels.iter().for_each(|file| add("--labels", &file.to_string_lossy()));
        for (key, value) in open.card.iter().filter_map(|card| card.as_object()).flatten() {
            flag(value).into_iter().for_each(|text| add(&format!("--{}", key.replace('_', "-")), &text));
        }
        add("-i", &open.picture);
        open.target.iter().for_each(|target| add("-t", &target.to_string()));
        open.ablated.iter().for_each(|unit| add("--ablate", unit));
        for (name, value) in &open.set {
            add("--set", &format!("{name}={value}"));
        }
        let own = Data::of_model(&session.model().card.name);
        let data = open.data.as_deref().filter(|data| own.name() != Some(*data));
        data.into_iter().for_each(|data| add("--data", data));
        if open.seed != 0 {
            add("--seed", &open.seed.to_string());
        }
        if method.stepped {
            add("--steps", &session.cursor().to_string());
        }
        if open.no_resize {
            words.push("--no-resize".into());
        }
        words.extend(self.host_words.iter().cloned());
        Some(words)
    }

    /// Whether the method's name finds this script.
    fn is_found(&self, name: &str, path: &Path) -> bool {
        let found = self.host.plugins().find(name).ok().flatten();
        found.is_some_and(|source| source.path.as_deref() == Some(path))
    }
}

/// A value of a card as the command line's flags take it; `None` for class names, which only a file can give.
fn flag(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("none".into()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.iter().all(Value::is_u64) => {
            Some(items.iter().map(Value::to_string).collect::<Vec<_>>().join("x"))
        }
        Value::Array(items) if items.iter().all(Value::is_number) => {
            Some(items.iter().map(Value::to_string).collect::<Vec<_>>().join(","))
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_a_card_become_flags() {
        let text = |value: Value| flag(&value);
        assert_eq!(text(json!([48, 64])).as_deref(), Some("48x64"));
        assert_eq!(text(json!([0.485, 0.456])).as_deref(), Some("0.485,0.456"));
        assert_eq!(
            [text(json!(null)), text(json!(0.875)), text(json!("bgr"))],
            ["none", "0.875", "bgr"].map(|t| Some(t.into()))
        );
        assert_eq!(text(json!(["cat", "dog"])), None);
    }
}
