//! Finds the loops of a script that was stopped because it did not end. The engine does not report where it was stopped.

use rhai::Position;

/// The loops that may run forever in scripts, given by name and text: `loop`, `while` and `do`, or if there are none, `for`. Each has
/// the name of its script and its position.
pub(super) fn endless<'a>(scripts: &[(&'a str, &str)]) -> Vec<(&'a str, Position)> {
    let all = |keywords: &[&str]| -> Vec<_> {
        let of = |(name, text): &(&'a str, &str)| {
            starts(text, keywords).into_iter().map(|at| (*name, at)).collect::<Vec<_>>()
        };
        scripts.iter().flat_map(of).collect()
    };
    let open = all(&["loop", "while", "do"]);
    if open.is_empty() { all(&["for"]) } else { open }
}

/// The positions of keywords outside comments and strings. The `while` that ends a `do` block is not counted.
fn starts(text: &str, keywords: &[&str]) -> Vec<Position> {
    let mut found = Vec::new();
    let mut in_comment = false;
    for (line, letters) in text.lines().enumerate() {
        let code = code(letters, &mut in_comment);
        let mut from = 0;
        while let Some((at, word)) = next_word(&code, from) {
            from = at + word.len();
            let ends_do = word == "while" && code[..at].trim_end().ends_with('}');
            if keywords.contains(&word) && !ends_do {
                let column = code[..at].chars().count() + 1;
                let place = u16::try_from(line + 1).ok().zip(u16::try_from(column).ok());
                found.extend(place.map(|(line, column)| Position::new(line, column)));
            }
        }
    }
    found
}

/// The next word at or after byte `from`, with its position.
fn next_word(code: &str, from: usize) -> Option<(usize, &str)> {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let at = from + code.get(from..)?.find(inside)?;
    let end = code[at..].find(|c| !inside(c)).map_or(code.len(), |length| at + length);
    Some((at, &code[at..end]))
}

/// A line with comments and strings replaced by spaces of the same length. `in_comment` tells whether a block comment continues.
fn code(line: &str, in_comment: &mut bool) -> String {
    let mut code = String::with_capacity(line.len());
    let mut quote = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        let hidden = match (letter, next, quote) {
            ('*', Some('/'), _) if *in_comment => {
                *in_comment = false;
                code.push(' ');
                letters.next();
                true
            }
            _ if *in_comment => true,
            ('\\', Some(_), Some(_)) => {
                code.push(' ');
                letters.next();
                true
            }
            (letter, _, Some(open)) => {
                quote = (letter != open).then_some(open);
                true
            }
            ('/', Some('/'), None) => break,
            ('/', Some('*'), None) => {
                *in_comment = true;
                true
            }
            ('"' | '`', _, None) => {
                quote = Some(letter);
                true
            }
            _ => false,
        };
        code.push(if hidden { ' ' } else { letter });
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        endless(&[("s", text)]).into_iter().filter_map(|(_, at)| at.line()).collect()
    }

    #[test]
    fn loops_are_found_outside_comments_and_strings() {
        assert_eq!(lines("let n = 0;\nloop { n += 1; }"), [2]);
        assert_eq!(
            lines("// while true\n/* loop {\n while */ let s = \"do \\\" loop\";\n  while n < 3 { n += 0; }"),
            [4]
        );
        assert_eq!(lines("do {\n  n += 1;\n} while n > 0;"), [1], "the end of a do block is not a loop of its own");
        assert_eq!(lines("for i in 0..n { while true { } }\nfor j in x { }"), [1]);
        assert_eq!(lines("for i in 0..n { }\nlet looped = `while ${n}`;"), [1], "names and strings are not keywords");
        assert!(lines("let x = 1;").is_empty());
    }
}
