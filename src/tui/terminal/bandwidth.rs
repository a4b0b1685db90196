//! The bandwidth to the terminal: what pictures may use of it, so that keys are echoed at once on a slow line.
//!
//! After a burst the terminal is asked for its name, which it answers once it has read everything before. Until then pictures
//! wait, and a burst is at most what the line carries in 60 ms.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// The measured bandwidth.
#[derive(Debug)]
pub struct Bandwidth {
    /// Whether the terminal answers with its name.
    answers: bool,
    /// When it was asked, after how many bytes.
    asked: Option<(Instant, usize)>,
    /// Bytes since then.
    since: usize,
    /// The fastest answer so far.
    quickest: Duration,
    /// The most bytes of a burst.
    burst: usize,
    /// Bytes written in the last second, and when.
    lately: VecDeque<(Instant, usize)>,
}

/// The query that terminals answer with their name (XTVERSION).
const QUESTION: &[u8] = b"\x1b[>q";
/// No answer is expected after this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// The duration of a burst.
const BURST: Duration = Duration::from_millis(60);
/// The shortest and the longest burst, in bytes.
const BURSTS: (usize, usize) = (4 << 10, 4 << 20);
/// Fewer bytes are not measured.
const LITTLE: usize = 1 << 10;

impl Bandwidth {
    /// The estimate at the start, for a terminal that answers with its name or does not, local or remote.
    pub fn new(answers: bool, far: bool) -> Self {
        let burst = if far { 16 << 10 } else { 256 << 10 };
        Self { answers, asked: None, since: 0, quickest: Duration::from_secs(1), burst, lately: VecDeque::new() }
    }

    /// Bytes that pictures may use now.
    pub fn room(&self) -> usize {
        match (self.answers, self.asked) {
            (false, _) => usize::MAX,
            (true, Some(_)) => 0,
            (true, None) => self.burst,
        }
    }

    /// Whether an answer is pending.
    pub fn waits(&self) -> bool {
        self.asked.is_some()
    }

    /// Records that `bytes` were written, and whether more are waiting; sends the query if that is worth it.
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

    /// Bytes written in the last second.
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
            // A short burst only shows that a fast line is fast.
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

    /// The length of bursts after a while on a line with this rate in bytes per second.
    fn settled(rate: f64, latency: Duration) -> usize {
        let (mut bandwidth, mut now) = (Bandwidth::new(true, true), Instant::now());
        for _ in 0..20 {
            let bytes = bandwidth.room();
            bandwidth.wrote(bytes, false, &mut io::sink(), now).unwrap();
            assert_eq!(bandwidth.room(), 0, "until it answers");
            now += latency + Duration::from_secs_f64(bytes as f64 / rate);
            bandwidth.answered(now);
            // Now and then a word is all that is written, which tells the latency.
            bandwidth.wrote(0, true, &mut io::sink(), now).unwrap();
            now += latency;
            bandwidth.answered(now);
        }
        bandwidth.room()
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
        assert_eq!(Bandwidth::new(false, true).room(), usize::MAX);
        let (mut bandwidth, now) = (Bandwidth::new(true, false), Instant::now());
        bandwidth.wrote(5000, false, &mut io::sink(), now).unwrap();
        bandwidth.wrote(1, false, &mut io::sink(), now + 2 * PATIENCE).unwrap();
        assert_eq!(bandwidth.room(), usize::MAX);
    }
}
