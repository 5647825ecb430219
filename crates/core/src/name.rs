//! The names of backups: made from a template, and read back for the time that is in them.
//!
//! The settings describe a name three times: a shell text that makes it, a regular expression that finds the time in it,
//! a format that reads the time. Nothing is run by a shell here, and a pattern whose three parts do not agree is refused
//! when it is made: under it backups would be stored that are never listed, or never expire.

mod error;
mod format;
mod template;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use regex::Regex;

pub use error::Error;
use template::Template;

/// How the backups of one store are called.
#[derive(Debug, Clone)]
pub struct Pattern {
    template: Template,
    /// The regular expression as it was given.
    regexp: String,
    /// The same, for whole names only.
    whole: Regex,
    format: String,
}

/// What a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<'a> {
    /// A backup, whole in one object.
    Backup { taken: Zoned },
    /// One part of a backup that was stored split: `NAME.00`, `NAME.01` and so on.
    Part {
        of: &'a str,
        number: u32,
        taken: Zoned,
    },
    /// Something else. It is neither listed nor ever deleted.
    Other,
}

/// Moments that show whether times survive in names: single digits, afternoon, midnight, the end of a year.
const PROBES: [i64; 4] = [981_173_106, 1_613_490_479, 1_602_201_630, 2_177_452_740];

impl Pattern {
    /// Takes the three settings. `$(date +FORMAT)` in the template stands for the time, in UTC after `-u`; whatever else
    /// a shell would act on is refused.
    ///
    /// The regular expression must match whole names, its first group the time. Older scripts matched from the start
    /// only, and so took `….graph.bak` for a backup.
    pub fn new(template: &str, regexp: &str, format: &str) -> Result<Self, Error> {
        let template = Template::parse(template)?;
        format::check(format, format::READABLE)?;
        let compile = |text: &str| {
            Regex::new(text).map_err(|source| Error::Regexp {
                regexp: regexp.to_owned(),
                source: Box::new(source),
            })
        };
        if compile(regexp)?.captures_len() < 2 {
            let regexp = regexp.to_owned();
            return Err(Error::NoGroup { regexp });
        }
        let pattern = Self {
            template,
            regexp: regexp.to_owned(),
            whole: compile(&format!(r"\A(?:{regexp})\z"))?,
            format: format.to_owned(),
        };
        for second in PROBES {
            let probe = Timestamp::from_second(second).expect("the probes lie in this age");
            pattern.try_out(&probe.to_zoned(TimeZone::UTC))?;
        }
        Ok(pattern)
    }

    /// The name of a backup taken at that moment. The time is that of the clock in the moment's time zone, unless the
    /// template asks for UTC.
    pub fn render(&self, at: &Zoned) -> String {
        self.template.render(at)
    }

    /// When the backup of that name was taken; nothing for a name that is not one of this pattern.
    ///
    /// A time that the clock showed twice is taken as the later one, so that no backup seems older than it is. The parts
    /// of a split backup have its time.
    pub fn taken(&self, name: &str, zone: &TimeZone) -> Option<Zoned> {
        match self.read(name, zone) {
            Reading::Backup { taken } | Reading::Part { taken, .. } => Some(taken),
            Reading::Other => None,
        }
    }

    pub fn read<'a>(&self, name: &'a str, zone: &TimeZone) -> Reading<'a> {
        if let Some(taken) = self.whole_name(name, zone) {
            return Reading::Backup { taken };
        }
        let part = split_part(name)
            .and_then(|(of, number)| Some((of, number, self.whole_name(of, zone)?)));
        part.map_or(Reading::Other, |(of, number, taken)| Reading::Part {
            of,
            number,
            taken,
        })
    }

    fn whole_name(&self, name: &str, zone: &TimeZone) -> Option<Zoned> {
        let time = self.whole.captures(name)?.get(1)?;
        let reading = self.time(time.as_str()).ok()?;
        let of_names = if self.template.utc() {
            &TimeZone::UTC
        } else {
            zone
        };
        let taken = of_names.to_ambiguous_zoned(reading).later().ok()?;
        Some(taken.with_time_zone(zone.clone()))
    }

    fn time(&self, text: &str) -> Result<DateTime, jiff::Error> {
        strtime::parse(&self.format, text)?.to_datetime()
    }

    /// Checks that the name of a moment is a usable one and gives the moment back, to the minute.
    fn try_out(&self, moment: &Zoned) -> Result<(), Error> {
        let name = self.render(moment);
        if let Some(sign) = name.chars().find(|c| *c == '/' || c.is_control()) {
            return Err(Error::Sign { name, sign });
        }
        let Some(found) = self.whole.captures(&name) else {
            let rest = Regex::new(&format!(r"\A(?:{})", self.regexp))
                .ok()
                .and_then(|start| Some(name[start.find(&name)?.end()..].to_owned()));
            return Err(Error::Unmatched {
                regexp: self.regexp.clone(),
                rest: rest.filter(|rest| !rest.is_empty()),
                name,
            });
        };
        let time = found.get(1).map_or("", |group| group.as_str()).to_owned();
        let read = self.time(&time).map_err(|source| Error::Unread {
            name: name.clone(),
            time,
            format: self.format.clone(),
            source,
        })?;
        let minute = |reading: DateTime| (reading.date(), reading.hour(), reading.minute());
        if minute(read) != minute(moment.datetime()) {
            let taken = moment.datetime();
            return Err(Error::Shifted { name, taken, read });
        }
        Ok(())
    }
}

/// Takes `NAME.00` apart.
fn split_part(name: &str) -> Option<(&str, u32)> {
    let (of, number) = name.rsplit_once('.')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| number.parse().ok()).flatten()?;
    Some((of, number))
}

/// The key of a backup: the prefix as the settings give it, then the name.
pub fn key(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}")
}

/// The name in a key; nothing for a key that lies elsewhere, or deeper (`PREFIXv2/…`, `PREFIXstackpacks/…`).
pub fn from_key<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let name = key.strip_prefix(prefix)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}
