//! Fuzzy matching of a few letters against texts.

/// How well a text matches some letters, which it must contain in this order; `None` if it does not. Consecutive letters, starts of
/// words and short texts score higher.
pub fn score(letters: &str, text: &str) -> Option<i64> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let letters: Vec<char> = letters.to_lowercase().chars().collect();
    let starts = text.iter().enumerate().filter(|(_, c)| letters.first().is_none_or(|l| l == *c)).map(|(at, _)| at);
    starts.filter_map(|from| score_from(&letters, &text, from)).max().or(letters.is_empty().then_some(0))
}

fn score_from(letters: &[char], text: &[char], from: usize) -> Option<i64> {
    let mut at = from;
    let mut total = -(text.len() as i64);
    for (n, letter) in letters.iter().enumerate() {
        let next = text[at..].iter().position(|c| c == letter)? + at;
        let word_start = next == 0 || !text[next - 1].is_alphanumeric();
        total += if n > 0 && next == at { 20 } else { 0 } + if word_start { 30 } else { 0 };
        at = next + 1;
    }
    Some(total)
}
