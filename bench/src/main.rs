//! Measures Lifeboat. `lifeboat-bench format [VERTICES] [WORKERS]` measures the `.graph` format alone.

mod format;
mod synthetic;

use std::io;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["format", rest @ ..] => format::run(
            rest.first().map_or(Ok(1_000_000), |text| text.parse())?,
            rest.get(1).map_or(Ok(2), |text| text.parse())?,
            &mut io::stdout(),
        ),
        _ => bail!("usage: lifeboat-bench format [VERTICES] [WORKERS]"),
    }
}
