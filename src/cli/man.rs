//! The manual page: clap's options of every command, exit codes, environment, files and examples.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::args::{Cli, EXAMPLES};
use super::exit::TABLE;

const ENVIRONMENT: [(&str, &str); 6] = [
    ("DATABASE_URL", "the database, where neither --db nor the configuration names one"),
    ("NAME", "every variable that ${NAME} in the configuration names; --env-file adds some"),
    ("SQLITE_TMPDIR, TMPDIR", "where copies are put aside, unless --temp-dir or the configuration says so"),
    ("TERM", "without it, or where it is dumb, progress is a line a phase instead of bars"),
    ("NO_COLOR", "respected: dbops writes no colours"),
    ("TZ", "not used: times are UTC; retention follows time_zone or --time-zone"),
];

const FILES: [(&str, &str); 2] = [
    ("dbops.toml", "the configuration, read from the current folder unless --config names another file"),
    ("backups", "the repository, where neither --repository nor the configuration names one"),
];

/// The whole page, as roff.
pub(super) fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let whole = Man::new(Cli::command()).manual("dbops").source(concat!("dbops ", env!("CARGO_PKG_VERSION")));
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    writeln!(page, ".SH COMMANDS")?;
    for command in Cli::command().get_subcommands() {
        one_command(&mut page, command)?;
    }
    whole.render_options_section(&mut page)?;
    let codes: Vec<(String, &str)> = TABLE.iter().map(|(code, meaning)| (code.to_string(), *meaning)).collect();
    table(&mut page, "EXIT STATUS", codes.iter().map(|(code, meaning)| (code.as_str(), *meaning)))?;
    writeln!(page, ".PP\n{}", escaped("When several apply: 20, then 21, 22, 23, 25, 3."))?;
    table(&mut page, "ENVIRONMENT", ENVIRONMENT.into_iter())?;
    table(&mut page, "FILES", FILES.into_iter())?;
    writeln!(page, ".SH EXAMPLES")?;
    verbatim(&mut page, EXAMPLES.trim_start_matches("Examples:\n").split("\n\n").next().unwrap_or_default())?;
    Ok(page)
}

fn one_command(page: &mut Vec<u8>, command: &Command) -> io::Result<()> {
    let mut part = Vec::new();
    // Taken from the command before it is built: the global options stand once, in a section of their own.
    let man = Man::new(command.clone().disable_help_flag(true));
    man.render_options_section(&mut part)?;
    let options = String::from_utf8_lossy(&part);
    writeln!(page, ".SS \"dbops {}\"", command.get_name())?;
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, "{}.", escaped(&about))?;
    let options = options
        .lines()
        .filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el ") && !line.starts_with(".SH"));
    options.into_iter().try_for_each(|line| writeln!(page, "{line}"))?;
    match command.get_after_help() {
        Some(examples) => verbatim(page, &examples.to_string()),
        None => Ok(()),
    }
}

fn table<'a>(page: &mut Vec<u8>, title: &str, rows: impl Iterator<Item = (&'a str, &'a str)>) -> io::Result<()> {
    writeln!(page, ".SH \"{title}\"")?;
    for (term, meaning) in rows {
        writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(term), escaped(meaning))?;
    }
    Ok(())
}

fn verbatim(page: &mut Vec<u8>, text: &str) -> io::Result<()> {
    writeln!(page, ".PP\n.nf")?;
    text.lines().try_for_each(|line| writeln!(page, "{}", escaped(line)))?;
    writeln!(page, ".fi")
}

/// Roff takes a leading dot or quote for a request, and a hyphen for a place to break.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
