//! JUnit's XML report of tests, which CI services read.

use crate::script::program::test::Outcome;
use std::fmt::Write;

/// The report of the tests in `file`.
pub fn report(file: &str, outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| !outcome.passed() && outcome.error.is_none()).count();
    let errors = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.took.as_secs_f64()).sum();
    let file = escaped(file);
    let counts =
        format!("tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\" time=\"{seconds:.3}\"", outcomes.len());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"{file}\" {counts}>\n"
    );
    for outcome in outcomes {
        let (name, seconds) = (escaped(&outcome.name), outcome.took.as_secs_f64());
        let head = format!(
            "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{}\" time=\"{seconds:.3}\"",
            outcome.line
        );
        let reasons = outcome.reasons();
        let kind = if outcome.error.is_some() { "error" } else { "failure" };
        // Writing to a string cannot fail.
        let _ = match reasons.first() {
            None => writeln!(xml, "{head}/>"),
            Some(first) => writeln!(
                xml,
                "{head}>\n      <{kind} message=\"{}\">{}</{kind}>\n    </testcase>",
                escaped(first),
                escaped(&reasons.join("\n"))
            ),
        };
    }
    xml + "  </testsuite>\n</testsuites>\n"
}

/// Text as XML, without the characters that XML forbids.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\n' => xml.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => xml.push(c),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::program::test::Verdict;
    use std::time::Duration;

    #[test]
    fn failures_and_errors_are_counted_and_text_is_escaped() {
        let outcome = |name: &str, met: bool, error: Option<&str>| Outcome {
            name: name.into(),
            line: 3,
            took: Duration::from_millis(1500),
            verdicts: vec![Verdict { measured: "the share is 0.2".into(), wanted: "at least 0.5".into(), met }],
            error: error.map(str::to_owned),
            figures: vec![],
        };
        let all = [
            outcome("good", true, None),
            outcome("a < b & \u{1b}[31m", false, None),
            outcome("x", true, Some("no <class>")),
        ];
        let xml = report("t.rhai", &all);
        assert!(xml.contains("<testsuites tests=\"3\" failures=\"1\" errors=\"1\" time=\"4.500\">"), "{xml}");
        assert!(xml.contains("name=\"a &lt; b &amp; [31m\""), "{xml}");
        assert!(xml.contains("<failure message=\"the share is 0.2, expected at least 0.5\">"), "{xml}");
        assert!(xml.contains("<error message=\"no &lt;class&gt;\">"), "{xml}");
        assert!(xml.contains("name=\"good\" file=\"t.rhai\" line=\"3\" time=\"1.500\"/>"), "{xml}");
    }
}
