//! `demo`: the main job on one machine, as a story of six steps with real processes, real sockets and real kills.

mod cable;
mod directory;
mod forgery;
mod stage;
mod story;

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::args::operator::Demo;
use crate::command::Context;
use crate::error::{CliResult, Exit};
use crate::output::{COLUMNS, Sign, Style, columns, wrap};
use stage::Stage;

/// What one line of a step claims, and whether it came so.
#[derive(Serialize)]
struct Expectation {
    /// What was looked at.
    subject: String,
    /// `accepted`, `rejected`, `indeterminate` or `forked`.
    expected: &'static str,
    /// What came.
    came: String,
    /// The verdict's code.
    code: Option<String>,
    /// What there is to say about it.
    text: String,
    /// Whether it came as expected.
    held: bool,
}

/// One step of the story.
#[derive(Serialize)]
struct Step {
    title: &'static str,
    elapsed_ms: u64,
    expectations: Vec<Expectation>,
}

#[derive(Serialize)]
struct Document<'a> {
    kind: &'static str,
    held: bool,
    elapsed_ms: u64,
    expectations: usize,
    expectations_held: usize,
    steps: &'a [Step],
    /// The two signed heads, whole.
    fork: &'a Option<Value>,
    kept: Option<String>,
}

/// The story so far, told as it happens.
struct Teller<'a> {
    context: &'a Context,
    steps: Vec<Step>,
    current: Vec<Expectation>,
    fork: Option<Value>,
}

/// Plays the story.
pub fn run(context: &Context, arguments: Demo) -> CliResult {
    let start = Instant::now();
    let mut teller = Teller { context, steps: Vec::new(), current: Vec::new(), fork: None };
    teller.say("Five nodes and a central directory, all on this machine:")?;
    teller.say("witnesses interior, customs, health (2 of 3 needed), transport, police")?;
    let mut stage = Stage::build(arguments.keep.as_deref())?;
    story::play(&mut stage, &mut teller)?;
    let kept = arguments.keep.is_some().then(|| stage.dir().to_path_buf());
    drop(stage);
    let expectations = || teller.steps.iter().flat_map(|step| &step.expectations);
    let (all, held) = (expectations().count(), expectations().filter(|e| e.held).count());
    let elapsed = start.elapsed();
    let document = Document {
        kind: "standfast/demo/v1",
        held: all == held,
        elapsed_ms: millis(elapsed),
        expectations: all,
        expectations_held: held,
        steps: &teller.steps,
        fork: &teller.fork,
        kept: kept.as_ref().map(|dir| dir.display().to_string()),
    };
    context.output.result(&document, |style| {
        let steps = teller.steps.len();
        let mut text = if all == held {
            let sign = style.sign(Sign::Good);
            format!("{sign} the story holds: {steps} steps, {all} expectations, {}\n", seconds(elapsed))
        } else {
            let sign = style.sign(Sign::Bad);
            format!("{sign} the story does not hold: {} of {all} expectations were missed\n", all - held)
        };
        match &kept {
            None => {
                text.push_str(&format!("{} look around in it: standfast demo --keep DIR\n", style.sign(Sign::Next)))
            }
            Some(dir) => {
                let dir = dir.display();
                text.push_str(&format!("{} look around in it:\n", style.sign(Sign::Next)));
                for command in [
                    format!("standfast verify {dir}/files/licence.jwt --trust {dir}/police"),
                    format!("standfast explain {dir}/files/second.jwt --trust {dir}/police"),
                    format!("standfast status --data-dir {dir}/police"),
                    format!("standfast fork show transport.gov.example --data-dir {dir}/police"),
                    format!("export CREDENTIALS_DIRECTORY={dir}/credentials"),
                    format!("standfast node run --data-dir {dir}/interior --config {dir}/interior/config.toml"),
                ] {
                    text.push_str(&format!("  {command}\n"));
                }
            }
        }
        text
    })?;
    Ok(if all == held { Exit::Done } else { Exit::Refused })
}

impl Teller<'_> {
    /// Prints a line, unless the story is told as data.
    fn say(&self, line: &str) -> CliResult<()> {
        if !self.context.global.json && !self.context.global.quiet {
            let out = &self.context.output;
            out.bytes(out.out.render(&format!("{line}\n")).as_bytes())?;
        }
        Ok(())
    }

    /// Ends a step: its title with its time, then what was expected and came.
    fn step(&mut self, title: &'static str, elapsed: Duration) -> CliResult<()> {
        let number = self.steps.len() + 1;
        let (head, time) = (format!("{number}  {title}"), seconds(elapsed));
        let gap = COLUMNS.saturating_sub(columns(&head) + columns(&time) + 5);
        self.say(&format!("{head}{}{time}", " ".repeat(gap.max(1))))?;
        let expectations = std::mem::take(&mut self.current);
        let style = &self.context.output.out;
        for expectation in &expectations {
            for line in lines(expectation, style) {
                self.say(&line)?;
            }
        }
        self.steps.push(Step { title, elapsed_ms: millis(elapsed), expectations });
        Ok(())
    }

    /// Notes that a verdict was expected to have this outcome and, where one is named, this code.
    fn expect(&mut self, subject: &str, verdict: &Value, expected: &'static str, code: Option<&str>, text: String) {
        let member = |name: &str| verdict.get(name).and_then(Value::as_str).map(str::to_owned);
        let came = member("outcome").unwrap_or_else(|| "no verdict".to_owned());
        let came_code = member("code");
        let held = came == expected && code.is_none_or(|code| came_code.as_deref() == Some(code));
        let text = if held { text } else { missed(expected, code, verdict) };
        self.current.push(Expectation { subject: subject.to_owned(), expected, came, code: came_code, text, held });
    }

    /// Notes a condition that is no verdict.
    fn expect_that(&mut self, held: bool, subject: &str, expected: &'static str, text: String) {
        let came = if held { expected } else { "not in time" }.to_owned();
        self.current.push(Expectation { subject: subject.to_owned(), expected, came, code: None, text, held });
    }
}

fn missed(expected: &str, code: Option<&str>, verdict: &Value) -> String {
    let text = |name: &str| verdict.get(name).and_then(Value::as_str).unwrap_or("none").to_owned();
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    format!("expected {expected}{code}, came {} ({}): {}", text("outcome"), text("code"), text("reason"))
}

fn lines(expectation: &Expectation, style: &Style) -> Vec<String> {
    let (sign, word) = match (expectation.held, expectation.expected) {
        (false, _) => (Sign::Bad, "missed"),
        (true, "accepted") => (Sign::Good, "accepted"),
        (true, "rejected") => (Sign::Bad, "rejected"),
        (true, "indeterminate") => (Sign::Open, "cannot decide"),
        (true, "forked") => (Sign::Tampered, "forked"),
        (true, other) => (Sign::Good, other),
    };
    let head = format!("   {} {} ", style.sign(sign), style.in_color_of(sign, &format!("{word:<14}")));
    let text = match expectation.subject.as_str() {
        "" => expectation.text.clone(),
        subject => format!("{subject} · {}", expectation.text),
    };
    let width = COLUMNS - 20;
    let mut lines: Vec<String> = Vec::new();
    for (i, part) in wrap(&text, width).into_iter().enumerate() {
        lines.push(if i == 0 { format!("{head}{part}") } else { format!("{}{part}", " ".repeat(20)) });
    }
    lines
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
