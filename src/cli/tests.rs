//! The definition of the command line, and the sentences of its errors.

use super::*;

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    command().try_get_matches_from(line.split(' ')).and_then(|matches| Cli::from_arg_matches(&matches))
}

/// Splits a line as a shell would, as far as the examples need it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn commands(of: &clap::Command) -> Vec<clap::Command> {
    let below: Vec<_> = of.get_subcommands().flat_map(commands).collect();
    std::iter::once(of.clone()).chain(below).collect()
}

#[test]
fn the_definition_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_that_is_shown_has_an_example_and_every_example_is_understood() {
    for of in commands(&command()).into_iter().filter(|of| !of.is_hide_set()) {
        let help = of.get_before_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> = help.lines().filter(|line| line.starts_with("  ")).collect();
        assert!(!examples.is_empty(), "`{}` has no example", of.get_name());
        for example in examples {
            let example = example.trim().split("  ").next().unwrap();
            let line: Vec<String> = words(example).into_iter().skip_while(|word| word.contains('=')).collect();

            let understood = command().try_get_matches_from(&line);

            assert!(understood.is_ok(), "{example}: {}", understood.unwrap_err());
        }
    }
}

#[test]
fn help_shows_examples_before_options() {
    let mut command = command();

    let help = command.find_subcommand_mut("jobs").unwrap().render_help().to_string();

    assert!(help.find("Examples:").unwrap() < help.find("Commands:").unwrap(), "{help}");
}

#[test]
fn the_child_of_a_worker_is_called_as_the_worker_calls_it() {
    let line = "berth work --one job_01k9z3m6sne5y8r7q2w4x6t8va --claim 6f1b2a3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c";

    assert!(parsed(line).is_ok());
    assert!(parsed("berth work --one job_01k9z3m6sne5y8r7q2w4x6t8va").is_err(), "without its claim");
}

#[test]
fn the_file_of_settings_may_stand_behind_the_command() {
    assert_eq!(parsed("berth up --config /etc/x.toml").unwrap().config, Some("/etc/x.toml".into()));
}

#[test]
fn an_id_of_another_kind_is_refused_by_its_look() {
    let error = parsed("berth jobs show ord_01k9z3m6sne5y8r7q2w4x6t8va").unwrap_err().to_string();

    assert!(error.contains("expected an id such as job_"), "{error}");
}

#[test]
fn a_cause_is_told_once() {
    let io = || std::io::Error::other("connection refused");
    let error = anyhow::Error::new(io()).context("no answer: connection refused").context("Postgres cannot be used");

    assert_eq!(output::reasons(&error), "Postgres cannot be used: no answer: connection refused");
}
