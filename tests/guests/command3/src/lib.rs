//! A command of WASI 0.3: says what it was given, and ends as the variable `END` wants it: `ok`, `error`, `panic`.

use wasip3::cli::environment::get_arguments;
use wasip3::cli::stdout::write_via_stream;

struct Command;

wasip3::cli::command::export!(Command);

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        let (mut output, stream) = wasip3::wit_stream::new();
        let written = write_via_stream(stream);
        let rest = output
            .write_all(format!("arguments {:?}\n", get_arguments()).into_bytes())
            .await;
        drop(output);
        if !rest.is_empty() || written.await.is_err() {
            return Err(());
        }
        match std::env::var("END").unwrap_or_default().as_str() {
            "error" => Err(()),
            "panic" => panic!("as it was asked for"),
            _ => Ok(()),
        }
    }
}
