//! What the dialects share in reading: columns, lists, values, ranges and steps.
//!
//! A dialect describes each of its fields by a [`Grammar`] and adds what only it has (`L`, `W`, `#`). Where they read the
//! same sign differently, the difference is a method of [`Dialect`] at the end of this file.

use super::Dialect;
use super::error::{Field, ParseError, Problem};

/// The names of the months, January first.
pub(super) const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
/// The names of the days, Sunday first.
pub(super) const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The whole text being read: where errors are made, so that each carries text, dialect and column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) dialect: Dialect,
}

/// A piece of the text and the byte at which it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// What one field of one dialect allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar {
    pub(super) field: Field,
    pub(super) min: u16,
    pub(super) max: u16,
    /// The last value of `*` and of `N/step`; differs from `max` where 7 is a second name for Sunday.
    pub(super) open_max: u16,
    /// Names that stand for `first_name`, `first_name + 1` and so on.
    pub(super) names: &'static [&'static str],
    pub(super) first_name: u16,
}

/// One item of a list: every `step`-th value from `first` to `last`, which lies before `first` when the range wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) step: u16,
    /// Whether it says "any value": `*`, or `?` where that means the same, without a step above one.
    pub(super) any: bool,
}

impl<'a> Source<'a> {
    pub(super) fn error(&self, at: usize, field: Option<Field>, problem: Problem) -> ParseError {
        ParseError {
            text: self.text.to_owned(),
            dialect: self.dialect,
            column: self.text[..at].chars().count() + 1,
            field,
            problem,
        }
    }

    /// The pieces between blanks.
    pub(super) fn fields(&self) -> Vec<Piece<'a>> {
        let mut fields = Vec::new();
        let mut at = 0;
        for text in self.text.split(|c: char| c.is_ascii_whitespace()) {
            if !text.is_empty() {
                fields.push(Piece { text, at });
            }
            at += text.len() + 1;
        }
        fields
    }

    /// The error for fewer or more fields than the dialect has: at the first one too many, or at the end.
    pub(super) fn miscounted(
        &self,
        fields: &[Piece<'a>],
        most: usize,
        expected: &'static str,
        suggested: Option<String>,
    ) -> ParseError {
        let at = fields.get(most).map_or(self.text.len(), |field| field.at);
        let problem = Problem::FieldCount {
            found: fields.len(),
            expected,
            suggested,
        };
        self.error(at, None, problem)
    }

    /// The pieces between commas, none of them empty.
    pub(super) fn items(
        &self,
        piece: Piece<'a>,
        field: Field,
    ) -> Result<Vec<Piece<'a>>, ParseError> {
        let mut items = Vec::new();
        let mut at = piece.at;
        for text in piece.text.split(',') {
            if text.is_empty() {
                return Err(self.error(at, Some(field), Problem::Missing));
            }
            items.push(Piece { text, at });
            at += text.len() + 1;
        }
        Ok(items)
    }

    /// The values of a field in which every item is plain, as bits.
    pub(super) fn set(&self, piece: Piece<'a>, grammar: &Grammar) -> Result<u64, ParseError> {
        let mut bits = 0;
        for item in self.items(piece, grammar.field)? {
            bits |= self.span(item, grammar)?.bits(grammar);
        }
        Ok(bits)
    }

    /// Reads `*`, `5`, `1-5`, each with an optional `/step`.
    pub(super) fn span(&self, item: Piece<'a>, grammar: &Grammar) -> Result<Span, ParseError> {
        let error = |at, problem| self.error(at, Some(grammar.field), problem);
        let (range, step) = match item.text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item.text, None),
        };
        let max_step = self.dialect.max_step(grammar);
        let count = match step {
            None => 1,
            Some(step) => number(step)
                .filter(|count| (1..=max_step).contains(count))
                .ok_or_else(|| {
                    let problem = Problem::Step {
                        step: step.to_owned(),
                        max: max_step,
                    };
                    error(item.at + range.len() + 1, problem)
                })?,
        };
        if range == "*" || self.dialect.means_any(range, step) {
            return Ok(Span {
                first: grammar.min,
                last: grammar.open_max,
                step: count,
                any: count == 1,
            });
        }
        let whole = Piece {
            text: range,
            at: item.at,
        };
        let Some((from, to)) = range.split_once('-') else {
            let first = self.value(whole, grammar)?;
            let last = if step.is_some() {
                grammar.open_max.max(first)
            } else {
                first
            };
            return Ok(Span {
                first,
                last,
                step: count,
                any: false,
            });
        };
        let first = self.value(
            Piece {
                text: from,
                ..whole
            },
            grammar,
        )?;
        let end = Piece {
            text: to,
            at: item.at + from.len() + 1,
        };
        let last = self.value(end, grammar)?;
        if last < first && !self.dialect.wraps(grammar.field) {
            let item = range.to_owned();
            return Err(error(whole.at, Problem::BackwardRange { item }));
        }
        Ok(Span {
            first,
            last,
            step: count,
            any: false,
        })
    }

    /// Reads one number or name.
    pub(super) fn value(&self, piece: Piece<'_>, grammar: &Grammar) -> Result<u16, ParseError> {
        let error = |problem| self.error(piece.at, Some(grammar.field), problem);
        if let Some(value) = grammar.named(piece.text, self.dialect.takes_full_names()) {
            return Ok(value);
        }
        if piece.text.is_empty() {
            return Err(error(Problem::Missing));
        }
        if !piece.text.bytes().all(|byte| byte.is_ascii_digit()) {
            let item = piece.text.to_owned();
            return Err(error(
                match misplaced(piece.text, self.dialect, grammar.field) {
                    Some(why) => Problem::NotAllowed { item, why },
                    None => Problem::Unexpected { item },
                },
            ));
        }
        number(piece.text)
            .filter(|value| (grammar.min..=grammar.max).contains(value))
            .ok_or_else(|| {
                error(Problem::OutOfRange {
                    value: piece.text.to_owned(),
                    min: grammar.min,
                    max: grammar.max,
                    suggested: sunday(piece.text, grammar),
                })
            })
    }
}

impl Grammar {
    /// A field of plain numbers.
    pub(super) const fn new(field: Field, min: u16, max: u16) -> Self {
        Self {
            field,
            min,
            max,
            open_max: max,
            names: &[],
            first_name: 0,
        }
    }

    fn named(&self, text: &str, full_too: bool) -> Option<u16> {
        let index = self.names.iter().position(|name| {
            text.eq_ignore_ascii_case(name)
                || (full_too && full(name).is_some_and(|full| text.eq_ignore_ascii_case(full)))
        })?;
        Some(self.first_name + u16::try_from(index).expect("there are at most twelve names"))
    }
}

impl Span {
    /// The values as bits; values of 64 and more have none.
    pub(super) fn bits(self, grammar: &Grammar) -> u64 {
        let length = grammar.open_max - grammar.min + 1;
        let end = if self.last < self.first {
            self.last + length
        } else {
            self.last
        };
        (self.first..=end)
            .step_by(usize::from(self.step))
            .map(|value| {
                if value > grammar.max {
                    value - length
                } else {
                    value
                }
            })
            .filter(|value| *value < 64)
            .fold(0, |bits, value| bits | 1 << value)
    }
}

impl Dialect {
    /// Whether what stands before the step, or alone, means `*` without being it.
    fn means_any(self, range: &str, step: Option<&str>) -> bool {
        match self {
            Self::Kubernetes | Self::Cronexpr => range == "?",
            Self::Elasticsearch => range.is_empty() && step.is_some(),
        }
    }

    /// Whether `22-2` means 22, 23, 0, 1, 2.
    fn wraps(self, field: Field) -> bool {
        self == Self::Elasticsearch && field != Field::Year
    }

    /// Whether `january` is as good as `jan`.
    fn takes_full_names(self) -> bool {
        self == Self::Cronexpr
    }

    /// Kubernetes sets no limit, and people write `0 */24 * * *`.
    fn max_step(self, grammar: &Grammar) -> u16 {
        match self {
            Self::Kubernetes => 9999,
            Self::Elasticsearch | Self::Cronexpr => grammar.open_max,
        }
    }
}

/// Reads a short run of digits.
pub(super) fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// What to write for a Sunday that is given by the number of another dialect.
fn sunday(text: &str, grammar: &Grammar) -> Option<String> {
    let outside = grammar.field == Field::DayOfWeek && matches!(text, "0" | "7");
    outside.then(|| format!("{}` or `SUN", grammar.min))
}

/// Why a sign that other dialects or fields know is refused here.
fn misplaced(text: &str, dialect: Dialect, field: Field) -> Option<&'static str> {
    let day = matches!(field, Field::DayOfMonth | Field::DayOfWeek);
    if text == "?" {
        return Some("`?` may only stand for the day of month or the day of week");
    }
    if text.starts_with('*') {
        return Some("`*` stands alone or before a step, as in `*/2`");
    }
    let last = text.ends_with(['L', 'l']) || text.starts_with("L-") || text.starts_with("l-");
    let nearest = text.ends_with(['W', 'w']);
    let special = text.contains('#')
        || ((last || nearest)
            && text.len() <= 5
            && (text.len() < 3 || text.contains(|c: char| c.is_ascii_digit())));
    if !special {
        return None;
    }
    Some(match dialect {
        Dialect::Kubernetes => "Kubernetes has no `L`, `W` and `#`",
        _ if !day => "`L`, `W` and `#` are for days only",
        _ if field == Field::DayOfMonth => {
            "the special days of this field are `L`, `LW` and the like of `15W`"
        }
        _ => "the special days of this field are the like of `5L` and `5#3`",
    })
}

fn full(short: &str) -> Option<&'static str> {
    const FULL: [&str; 19] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "sunday",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
    ];
    FULL.into_iter().find(|full| full.starts_with(short))
}
