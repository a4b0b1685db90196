//! Keys and mouse, read on a thread of their own; answers of the terminal among them are told apart.

use super::bounds;
use super::keymap::Key;
use super::msg::{Mouse, Msg};
use crate::panics::caught;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Something that came from the terminal.
#[derive(Clone, Debug)]
pub enum Input {
    /// A person did something.
    Person(Msg),
    /// The terminal told its name.
    Answer,
    /// Nothing can be read any more.
    Gone,
}

/// The thread that reads; it can be paused, so that another program may read instead.
#[derive(Debug)]
pub struct Reader {
    paused: Arc<AtomicBool>,
    resting: Arc<AtomicBool>,
}

/// So often the thread looks whether it shall pause.
const LOOK: Duration = Duration::from_millis(50);

/// An answer of the terminal is whole after so long, or none.
const ANSWER: Duration = Duration::from_millis(200);

/// After so many panics in a row nothing more will be read.
const PANICS: u32 = 100;

/// Wheels turn no faster than this.
const WHEEL: Duration = Duration::from_millis(20);

impl Reader {
    /// Starts the thread; it ends when nobody takes what it reads.
    pub fn start(take: impl Fn(Input) -> bool + Send + 'static) -> std::io::Result<Self> {
        let (paused, resting) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let reader = Self { paused: paused.clone(), resting: resting.clone() };
        std::thread::Builder::new().name("input".into()).spawn(move || read(&paused, &resting, take))?;
        Ok(reader)
    }

    /// Lets go of the terminal. Waits until the thread has, or a moment: it may hang in a half-read answer.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
        let since = Instant::now();
        while !self.resting.load(Ordering::SeqCst) && since.elapsed() < 10 * LOOK {
            std::thread::sleep(LOOK / 10);
        }
    }

    /// Reads again.
    pub fn resume(&self) {
        self.paused.store(false, Ordering::SeqCst);
    }
}

fn read(paused: &AtomicBool, resting: &AtomicBool, take: impl Fn(Input) -> bool) {
    let mut filter = Filter::default();
    let mut panics = 0;
    loop {
        let pause = paused.load(Ordering::SeqCst);
        resting.store(pause, Ordering::SeqCst);
        if pause {
            std::thread::sleep(LOOK / 5);
            continue;
        }
        // Where crossterm panics on a sequence that no terminal sends, what comes after it may be read again.
        let read = caught(|| if event::poll(LOOK)? { event::read().map(Some) } else { Ok(None) });
        let goes_on = match read {
            Ok(Ok(Some(event))) => {
                panics = 0;
                filter.take(event, Instant::now()).is_none_or(&take)
            }
            Ok(Ok(None)) => true,
            Err(_) if panics < PANICS => {
                panics += 1;
                true
            }
            Err(_) | Ok(Err(_)) => {
                take(Input::Gone);
                false
            }
        };
        if !goes_on {
            break;
        }
    }
}

/// Tells a person's keys from the terminal's answers, which come as Alt-`_`, `G`, `i`, … up to Alt-`\`.
#[derive(Debug, Default)]
pub struct Filter {
    answer: Option<(String, Instant)>,
    wheel: Option<Instant>,
}

impl Filter {
    /// What an event means, if anything.
    pub fn take(&mut self, event: Event, now: Instant) -> Option<Input> {
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => None,
            Event::Key(key) => self.key(key, now),
            Event::Paste(text) => Some(Input::Person(Msg::Paste(text))),
            Event::Resize(columns, rows) => {
                let (columns, rows) = bounds::drawn(columns, rows);
                Some(Input::Person(Msg::Resize(columns, rows)))
            }
            Event::Mouse(mouse) => self.mouse(mouse.kind, mouse.column, mouse.row, now),
            Event::FocusGained | Event::FocusLost => None,
        }
    }

    fn key(&mut self, key: KeyEvent, now: Instant) -> Option<Input> {
        self.answer.take_if(|(_, since)| now.duration_since(*since) > ANSWER);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match (&mut self.answer, key.code) {
            (Some(_), KeyCode::Char('\\')) if alt => self.answered(),
            (Some(_), KeyCode::Char('g')) if ctrl => self.answered(),
            (Some((text, _)), code) => {
                text.extend(code.as_char());
                None
            }
            (None, KeyCode::Char('_' | ']' | 'P')) if alt => {
                self.answer = Some((String::new(), now));
                None
            }
            (None, code) => named(code, ctrl, alt).map(|key| Input::Person(Msg::Key(key))),
        }
    }

    fn answered(&mut self) -> Option<Input> {
        let (text, _) = self.answer.take()?;
        text.starts_with(">|").then_some(Input::Answer)
    }

    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16, now: Instant) -> Option<Input> {
        let mouse = match kind {
            MouseEventKind::Down(MouseButton::Left) => Mouse::Press,
            MouseEventKind::Drag(MouseButton::Left) => Mouse::Drag,
            MouseEventKind::ScrollUp => Mouse::WheelUp,
            MouseEventKind::ScrollDown => Mouse::WheelDown,
            _ => return None,
        };
        if matches!(mouse, Mouse::WheelUp | Mouse::WheelDown) {
            if self.wheel.is_some_and(|last| now.duration_since(last) < WHEEL) {
                return None;
            }
            self.wheel = Some(now);
        }
        Some(Input::Person(Msg::Mouse(mouse, column, row)))
    }
}

/// The keymap's name of a key.
fn named(code: KeyCode, ctrl: bool, alt: bool) -> Option<Key> {
    Some(match code {
        KeyCode::Char(_) if alt => return None,
        KeyCode::Char(c) if ctrl => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(filter: &mut Filter, text: &str, alt: &str, now: Instant) -> Vec<String> {
        let event = |c: char| {
            let modifiers = if alt.contains(c) { KeyModifiers::ALT } else { KeyModifiers::NONE };
            Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers))
        };
        text.chars().filter_map(|c| filter.take(event(c), now)).map(|i| format!("{i:?}")).collect()
    }

    #[test]
    fn an_answer_of_the_terminal_is_no_key() {
        let mut filter = Filter::default();
        let seen = keys(&mut filter, "jP>|kitty(0.41)\\k", "P\\", Instant::now());
        assert_eq!(seen, ["Person(Key(Char('j')))", "Answer", "Person(Key(Char('k')))"]);
    }

    #[test]
    fn what_only_looks_like_an_answer_swallows_keys_for_a_moment_at_most() {
        let mut filter = Filter::default();
        let start = Instant::now();
        assert!(keys(&mut filter, "Pjj", "P", start).is_empty());
        assert_eq!(keys(&mut filter, "j", "", start + ANSWER * 2).len(), 1);
    }

    #[test]
    fn wheels_are_slowed_down() {
        let mut filter = Filter::default();
        let start = Instant::now();
        let mut turn = |after| filter.mouse(MouseEventKind::ScrollDown, 1, 1, start + after).is_some();
        assert_eq!([turn(Duration::ZERO), turn(WHEEL / 2), turn(WHEEL)], [true, false, true]);
    }
}
