//! Asking before something is destroyed (R134, E38).
//!
//! Asked on a terminal only, and only the whole word `yes` agrees; elsewhere `--yes` must say it beforehand.

use std::io::{BufRead, IsTerminal, Write};

/// Whether the administrator agrees to a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Agreed.
    Yes,
    /// Asked, and did not agree.
    No,
    /// Could not be asked.
    CannotAsk,
}

/// Shows what is lost and asks, unless `agreed` beforehand.
pub fn ask(loss: &str, agreed: bool) -> Answer {
    let stdin = std::io::stdin();
    let terminal = stdin.is_terminal();
    decide(loss, agreed, terminal, &mut stdin.lock(), &mut std::io::stderr())
}

fn decide(
    loss: &str,
    agreed: bool,
    terminal: bool,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Answer {
    // Without its output the question was not asked, and no answer counts.
    if output.write_all(loss.as_bytes()).is_err() && !agreed {
        return Answer::CannotAsk;
    }
    if agreed {
        return Answer::Yes;
    }
    if !terminal {
        return Answer::CannotAsk;
    }
    loop {
        if write!(output, "Type yes to go on, no to stop: ").and_then(|()| output.flush()).is_err()
        {
            return Answer::CannotAsk;
        }
        let mut line = String::new();
        match input.read_line(&mut line) {
            Ok(0) | Err(_) => return Answer::No,
            Ok(_) => {}
        }
        match line.trim() {
            "yes" => return Answer::Yes,
            "no" => return Answer::No,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, decide};

    fn typed(input: &str, agreed: bool, terminal: bool) -> (Answer, String) {
        let mut output = Vec::new();
        let answer = decide("loss\n", agreed, terminal, &mut input.as_bytes(), &mut output);
        (answer, String::from_utf8(output).unwrap())
    }

    /// E38: the question is repeated until it is answered; the end of input means no.
    #[test]
    fn only_the_word_yes_agrees() {
        let question = "Type yes to go on, no to stop: ";
        assert_eq!(typed("yes\n", false, true), (Answer::Yes, format!("loss\n{question}")));
        assert_eq!(typed("no\n", false, true).0, Answer::No);
        assert_eq!(typed("", false, true).0, Answer::No);
        assert_eq!(
            typed("y\nYES\n\nyes\n", false, true),
            (Answer::Yes, format!("loss\n{}", question.repeat(4)))
        );
        assert_eq!(typed("y\n", false, true).0, Answer::No);
    }

    /// Without a terminal a word on standard input is not an answer.
    #[test]
    fn elsewhere_it_must_be_said_beforehand() {
        assert_eq!(typed("yes\n", false, false), (Answer::CannotAsk, "loss\n".to_owned()));
        assert_eq!(typed("", true, false), (Answer::Yes, "loss\n".to_owned()));
        assert_eq!(typed("no\n", true, true).0, Answer::Yes);
    }
}
