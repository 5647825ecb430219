//! Which directives of date formats are understood.
//!
//! Names are made with the directives of GNU `date` and read with those of Python's `strptime`. Only those are let
//! through that mean the same here as there.

use super::Error;

/// What may make a name.
pub(super) const WRITABLE: &str = "YmdHMSyjbBhaAIpPFTRsNuGV%";
/// What may be read from a name. A time zone is not among them: it is a setting of its own.
pub(super) const READABLE: &str = "YmdHMSyjbBaAIpf%";
/// `%-d` leaves out the leading zero, `%0e` insists on it, `%^b` makes capitals.
const FLAGS: [char; 3] = ['-', '0', '^'];

/// Refuses every directive that is not among the known ones; flags are for writing only.
pub(super) fn check(format: &str, known: &str) -> Result<(), Error> {
    let mut signs = format.chars().enumerate();
    while let Some((index, sign)) = signs.next() {
        if sign != '%' {
            continue;
        }
        let mut directive = String::from(sign);
        let mut next = signs.next();
        if let Some((_, flag)) = next
            && FLAGS.contains(&flag)
            && known == WRITABLE
        {
            directive.push(flag);
            next = signs.next();
        }
        let Some((_, letter)) = next else {
            return Err(unknown(format, index, directive, known));
        };
        directive.push(letter);
        if !known.contains(letter) {
            return Err(unknown(format, index, directive, known));
        }
    }
    Ok(())
}

fn unknown(format: &str, index: usize, directive: String, known: &str) -> Error {
    let known: Vec<_> = known.chars().map(|letter| format!("`%{letter}`")).collect();
    Error::Directive {
        format: format.to_owned(),
        column: index + 1,
        directive,
        known: known.join(", "),
    }
}
