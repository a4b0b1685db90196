//! Reads keys and mouse events on a separate thread and separates them from the terminal's responses.

use super::bounds;
use crate::panics::caught;
use crate::tui::event::{Event, Key, Mouse};
use crossterm::event::{
    self, Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Input read from the terminal.
#[derive(Clone, Debug)]
pub enum TerminalInput {
    /// Input from the user.
    User(Event),
    /// The terminal responded to the query for its name.
    Answer,
    /// The terminal can no longer be read.
    Gone,
}

/// The thread that reads from the terminal. It can be paused while another program reads from the terminal.
#[derive(Debug)]
pub struct Reader {
    paused: Arc<AtomicBool>,
    resting: Arc<AtomicBool>,
}

/// Interval at which the reading thread checks whether to pause.
const LOOK: Duration = Duration::from_millis(50);

/// Time after which an incomplete terminal response is treated as keys.
const ANSWER: Duration = Duration::from_millis(200);

/// Number of consecutive panics after which reading stops.
const PANICS: u32 = 100;

/// Minimum time between wheel events. Events that follow sooner are ignored.
const WHEEL: Duration = Duration::from_millis(20);

impl Reader {
    /// Starts the reading thread, which passes input to `take` and ends when `take` returns false.
    pub fn start(take: impl Fn(TerminalInput) -> bool + Send + 'static) -> std::io::Result<Self> {
        let (paused, resting) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let reader = Self { paused: paused.clone(), resting: resting.clone() };
        std::thread::Builder::new().name("input".into()).spawn(move || read(&paused, &resting, take))?;
        Ok(reader)
    }

    /// Stops reading from the terminal. Waits only briefly for the thread to stop, since it may be in the middle of a response.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
        let since = Instant::now();
        while !self.resting.load(Ordering::SeqCst) && since.elapsed() < 10 * LOOK {
            std::thread::sleep(LOOK / 10);
        }
    }

    /// Resumes reading from the terminal.
    pub fn resume(&self) {
        self.paused.store(false, Ordering::SeqCst);
    }
}

fn read(paused: &AtomicBool, resting: &AtomicBool, take: impl Fn(TerminalInput) -> bool) {
    let mut filter = Filter::default();
    let mut panics = 0;
    loop {
        let pause = paused.load(Ordering::SeqCst);
        resting.store(pause, Ordering::SeqCst);
        if pause {
            std::thread::sleep(LOOK / 5);
            continue;
        }
        // Crossterm panics on some sequences that no terminal sends. Input after them can still be read.
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
                take(TerminalInput::Gone);
                false
            }
        };
        if !goes_on {
            break;
        }
    }
}

/// Separates keys from the terminal's responses. A response arrives as a sequence of keys: Alt-`_`, `G`, `i`, … up to Alt-`\`.
#[derive(Debug, Default)]
pub struct Filter {
    answer: Option<(String, Instant)>,
    wheel: Option<Instant>,
}

impl Filter {
    /// Interprets a terminal event; `None` if it is irrelevant to the app or part of an incomplete response.
    pub fn take(&mut self, event: TerminalEvent, now: Instant) -> Option<TerminalInput> {
        match event {
            TerminalEvent::Key(key) if key.kind == KeyEventKind::Release => None,
            TerminalEvent::Key(key) => self.key(key, now),
            TerminalEvent::Paste(text) => Some(TerminalInput::User(Event::Paste(text))),
            TerminalEvent::Resize(columns, rows) => {
                let (columns, rows) = bounds::drawn(columns, rows);
                Some(TerminalInput::User(Event::Resize(columns, rows)))
            }
            TerminalEvent::Mouse(mouse) => self.mouse(mouse.kind, mouse.column, mouse.row, now),
            TerminalEvent::FocusGained | TerminalEvent::FocusLost => None,
        }
    }

    fn key(&mut self, key: KeyEvent, now: Instant) -> Option<TerminalInput> {
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
            (None, code) => named(code, ctrl, alt).map(|key| TerminalInput::User(Event::Key(key))),
        }
    }

    fn answered(&mut self) -> Option<TerminalInput> {
        let (text, _) = self.answer.take()?;
        text.starts_with(">|").then_some(TerminalInput::Answer)
    }

    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16, now: Instant) -> Option<TerminalInput> {
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
        Some(TerminalInput::User(Event::Mouse(mouse, column, row)))
    }
}

/// Converts a terminal key code to a keymap key; `None` for keys that keymaps do not support.
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
            TerminalEvent::Key(KeyEvent::new(KeyCode::Char(c), modifiers))
        };
        text.chars().filter_map(|c| filter.take(event(c), now)).map(|i| format!("{i:?}")).collect()
    }

    #[test]
    fn an_answer_of_the_terminal_is_not_a_key() {
        let mut filter = Filter::default();
        let seen = keys(&mut filter, "jP>|kitty(0.41)\\k", "P\\", Instant::now());
        assert_eq!(seen, ["User(Key(Char('j')))", "Answer", "User(Key(Char('k')))"]);
    }

    #[test]
    fn keys_that_look_like_an_answer_are_held_back_only_briefly() {
        let mut filter = Filter::default();
        let start = Instant::now();
        assert!(keys(&mut filter, "Pjj", "P", start).is_empty());
        assert_eq!(keys(&mut filter, "j", "", start + ANSWER * 2).len(), 1);
    }

    #[test]
    fn wheel_events_are_throttled() {
        let mut filter = Filter::default();
        let start = Instant::now();
        let mut turn = |after| filter.mouse(MouseEventKind::ScrollDown, 1, 1, start + after).is_some();
        assert_eq!([turn(Duration::ZERO), turn(WHEEL / 2), turn(WHEEL)], [true, false, true]);
    }
}
