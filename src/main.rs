//! The program; its command line is `berth::cli`.

fn main() -> std::process::ExitCode {
    berth::cli::main()
}
