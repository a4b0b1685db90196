//! How fast the line to the terminal is: what pictures may take of it, so that keys are echoed at once on a slow one.
//!
//! After a burst the terminal is asked for its name, which it answers when it has read all before. Until then pictures wait, and
//! a burst is no longer than what the line carries in 60 ms.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// The line to the terminal.
#[derive(Debug)]
pub struct Link {
    /// Whether the terminal tells its name.
    answers: bool,
    /// When it was asked, after how many bytes.
    asked: Option<(Instant, usize)>,
    /// Bytes since then.
    since: usize,
    /// The quickest answer so far.
    quickest: Duration,
    /// Bytes that a burst may have.
    burst: usize,
    /// What was written when, in the last second.
    lately: VecDeque<(Instant, usize)>,
}

/// The question that terminals answer with their name (XTVERSION).
const QUESTION: &[u8] = b"\x1b[>q";
/// An answer that did not come for so long will not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// A burst takes about so long.
const BURST: Duration = Duration::from_millis(60);
/// The shortest and the longest burst, in bytes.
const BURSTS: (usize, usize) = (4 << 10, 4 << 20);
/// So little is never asked about.
const LITTLE: usize = 1 << 10;

impl Link {
    /// A line of which nothing is known yet; one to a terminal that tells its name (or not), near by or far away.
    pub fn new(answers: bool, far: bool) -> Self {
        let burst = if far { 16 << 10 } else { 256 << 10 };
        Self { answers, asked: None, since: 0, quickest: Duration::from_secs(1), burst, lately: VecDeque::new() }
    }

    /// Bytes that pictures may take now.
    pub fn room(&self) -> usize {
        match (self.answers, self.asked) {
            (false, _) => usize::MAX,
            (true, Some(_)) => 0,
            (true, None) => self.burst,
        }
    }

    /// Whether an answer is awaited.
    pub fn waits(&self) -> bool {
        self.asked.is_some()
    }

    /// So many bytes were written, and whether more wait to be; asks when that is worth it.
    pub fn wrote(&mut self, bytes: usize, more: bool, out: &mut impl Write, now: Instant) -> io::Result<()> {
        self.since += bytes;
        self.lately.push_back((now, bytes));
        if self.asked.is_some_and(|(since, _)| now.duration_since(since) > PATIENCE) {
            (self.answers, self.asked) = (false, None);
        }
        if self.answers && self.asked.is_none() && (self.since > LITTLE || more) {
            self.asked = Some((now, self.since));
            self.since = 0;
            out.write_all(QUESTION)?;
        }
        Ok(())
    }

    /// Bytes that were written in the last second.
    pub fn rate(&mut self, now: Instant) -> usize {
        while self.lately.pop_front_if(|(at, _)| now.duration_since(*at) > Duration::from_secs(1)).is_some() {}
        self.lately.iter().map(|(_, bytes)| bytes).sum()
    }

    /// The terminal answered.
    pub fn answered(&mut self, now: Instant) {
        let Some((since, bytes)) = self.asked.take() else { return };
        let took = now.duration_since(since);
        self.quickest = self.quickest.min(took);
        let slow = took.saturating_sub(self.quickest);
        let burst = match slow < BURST / 6 {
            // A short burst tells nothing of a quick line but that it is quick.
            true if bytes * 4 >= self.burst => self.burst * 4,
            true => self.burst,
            false => (bytes as f64 * BURST.as_secs_f64() / slow.as_secs_f64()) as usize,
        };
        self.burst = burst.clamp(BURSTS.0, BURSTS.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of bursts after a while on a line of so many bytes a second.
    fn settled(rate: f64, latency: Duration) -> usize {
        let (mut link, mut now) = (Link::new(true, true), Instant::now());
        for _ in 0..20 {
            let bytes = link.room();
            link.wrote(bytes, false, &mut io::sink(), now).unwrap();
            assert_eq!(link.room(), 0, "until it answers");
            now += latency + Duration::from_secs_f64(bytes as f64 / rate);
            link.answered(now);
            // Now and then a word is all that is written, which tells the latency.
            link.wrote(0, true, &mut io::sink(), now).unwrap();
            now += latency;
            link.answered(now);
        }
        link.room()
    }

    #[test]
    fn a_burst_takes_sixty_milliseconds_on_a_slow_line() {
        let burst = settled(125_000.0, Duration::from_millis(160));
        assert!((6_000..10_000).contains(&burst), "{burst}");
    }

    #[test]
    fn a_quick_line_is_not_held_up() {
        assert_eq!(settled(1e9, Duration::from_millis(1)), BURSTS.1);
    }

    #[test]
    fn a_terminal_that_does_not_answer_gets_all() {
        assert_eq!(Link::new(false, true).room(), usize::MAX);
        let (mut link, now) = (Link::new(true, false), Instant::now());
        link.wrote(5000, false, &mut io::sink(), now).unwrap();
        link.wrote(1, false, &mut io::sink(), now + 2 * PATIENCE).unwrap();
        assert_eq!(link.room(), usize::MAX);
    }
}
