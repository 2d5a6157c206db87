//! `peewitctl`: the workstation's side of peewit. Compiles rules to packs and replays
//! recorded events through the very engine that runs on the device.

mod compile;
mod error;
mod explain;
mod pending;
mod record;
mod replay;
mod rules;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "peewitctl",
    version,
    about = "Compiles detection rules for peewit and replays events through them"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile rule files and folders to a pack for the device
    Compile(compile::Options),
    /// Test rules against the events beside them
    Test(test::Options),
    /// Replay recorded ECS process events through rules
    Replay(replay::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Compile(options) => compile::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Replay(options) => replay::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads our output has had enough of it.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
