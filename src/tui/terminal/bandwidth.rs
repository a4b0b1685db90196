//! Measures the bandwidth to the terminal and limits the data rate of pictures, so that key presses are echoed without delay on
//! slow connections.
//!
//! After a burst of data, the terminal is queried for its name. It responds once it has read everything sent before the query.
//! Pictures wait for the response, and a burst is limited to what the connection transmits in 60 ms.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// The measured bandwidth to the terminal.
#[derive(Debug)]
pub struct Bandwidth {
    /// Whether the terminal responds to queries for its name.
    answers: bool,
    /// When the pending query was sent, and the number of bytes written between it and the query before it.
    asked: Option<(Instant, usize)>,
    /// Number of bytes written since the last query.
    since: usize,
    /// The terminal's shortest response time.
    quickest: Duration,
    /// Maximum size of a burst in bytes.
    burst: usize,
    /// Time and size in bytes of each write in the last second.
    lately: VecDeque<(Instant, usize)>,
}

/// The escape code that queries the terminal's name (XTVERSION).
const QUESTION: &[u8] = b"\x1b[>q";
/// Timeout for the terminal's response.
const PATIENCE: Duration = Duration::from_secs(5);
/// Target duration of a burst.
const BURST: Duration = Duration::from_millis(60);
/// Minimum and maximum size of a burst in bytes.
const BURSTS: (usize, usize) = (4 << 10, 4 << 20);
/// Minimum number of bytes for a bandwidth measurement.
const LITTLE: usize = 1 << 10;

impl Bandwidth {
    /// Creates the initial estimate. `answers` is whether the terminal responds to queries for its name, and `far` whether it is
    /// remote.
    pub fn new(answers: bool, far: bool) -> Self {
        let burst = if far { 16 << 10 } else { 256 << 10 };
        Self { answers, asked: None, since: 0, quickest: Duration::from_secs(1), burst, lately: VecDeque::new() }
    }

    /// Number of bytes currently available for pictures.
    pub fn room(&self) -> usize {
        match (self.answers, self.asked) {
            (false, _) => usize::MAX,
            (true, Some(_)) => 0,
            (true, None) => self.burst,
        }
    }

    /// Whether a response from the terminal is pending.
    pub fn waits(&self) -> bool {
        self.asked.is_some()
    }

    /// Records that `bytes` were written and whether `more` are pending. Queries the terminal if a measurement is worthwhile.
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

    /// Number of bytes written in the last second.
    pub fn rate(&mut self, now: Instant) -> usize {
        while self.lately.pop_front_if(|(at, _)| now.duration_since(*at) > Duration::from_secs(1)).is_some() {}
        self.lately.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Records that the terminal responded to the query and updates the estimate.
    pub fn answered(&mut self, now: Instant) {
        let Some((since, bytes)) = self.asked.take() else { return };
        let took = now.duration_since(since);
        self.quickest = self.quickest.min(took);
        let slow = took.saturating_sub(self.quickest);
        let burst = match slow < BURST / 6 {
            // A short burst does not measure the speed of a fast connection; it only shows that the connection is fast.
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

    /// The burst size in bytes reached on a connection with a given rate in bytes per second.
    fn settled(rate: f64, latency: Duration) -> usize {
        let (mut bandwidth, mut now) = (Bandwidth::new(true, true), Instant::now());
        for _ in 0..20 {
            let bytes = bandwidth.room();
            bandwidth.wrote(bytes, false, &mut io::sink(), now).unwrap();
            assert_eq!(bandwidth.room(), 0, "until it answers");
            now += latency + Duration::from_secs_f64(bytes as f64 / rate);
            bandwidth.answered(now);
            // The response time for an empty write is the latency alone.
            bandwidth.wrote(0, true, &mut io::sink(), now).unwrap();
            now += latency;
            bandwidth.answered(now);
        }
        bandwidth.room()
    }

    #[test]
    fn a_burst_takes_sixty_milliseconds_on_a_slow_connection() {
        let burst = settled(125_000.0, Duration::from_millis(160));
        assert!((6_000..10_000).contains(&burst), "{burst}");
    }

    #[test]
    fn a_fast_connection_is_not_throttled() {
        assert_eq!(settled(1e9, Duration::from_millis(1)), BURSTS.1);
    }

    #[test]
    fn a_terminal_that_does_not_answer_is_not_throttled() {
        assert_eq!(Bandwidth::new(false, true).room(), usize::MAX);
        let (mut bandwidth, now) = (Bandwidth::new(true, false), Instant::now());
        bandwidth.wrote(5000, false, &mut io::sink(), now).unwrap();
        bandwidth.wrote(1, false, &mut io::sink(), now + 2 * PATIENCE).unwrap();
        assert_eq!(bandwidth.room(), usize::MAX);
    }
}
