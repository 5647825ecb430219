//! Names: the templates of the settings, names read back, patterns that cannot work.

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lifeboat_core::name::{Pattern, Reading, from_key, key};
use proptest::prelude::*;

const TEMPLATE: &str = "sts-backup-$(date +%Y%m%d-%H%M).graph";
const REGEXP: &str = "sts-backup-([0-9]*-[0-9]*).graph";
const FORMAT: &str = "%Y%m%d-%H%M";

fn default() -> Pattern {
    Pattern::new(TEMPLATE, REGEXP, FORMAT).unwrap()
}

fn amsterdam() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn at(reading: &str, zone: &TimeZone) -> Zoned {
    reading
        .parse::<DateTime>()
        .unwrap()
        .to_zoned(zone.clone())
        .unwrap()
}

/// The error and its causes.
fn refusal(template: &str, regexp: &str, format: &str) -> String {
    let error = Pattern::new(template, regexp, format).expect_err(template);
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}\n  caused by: {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn the_default_name_carries_the_time_of_the_clock() {
    let taken = at("2021-02-16T03:00:59", &amsterdam());
    assert_eq!(default().render(&taken), "sts-backup-20210216-0300.graph");
    assert_eq!(
        default().taken("sts-backup-20210216-0300.graph", &amsterdam()),
        Some(at("2021-02-16T03:00:00", &amsterdam()))
    );
}

#[test]
fn a_date_command_may_be_quoted_and_ask_for_utc() {
    let taken = at("2021-07-01T01:30:00", &amsterdam());
    let templates = [
        (
            "sts-$(date '+%Y%m%d-%H%M').graph",
            "sts-20210701-0130.graph",
        ),
        (
            "sts-$(date \"+%Y%m%d-%H%M\").graph",
            "sts-20210701-0130.graph",
        ),
        (
            "sts-$( date  +'%Y%m%d-%H%M' ).graph",
            "sts-20210701-0130.graph",
        ),
        (
            "sts-$(date +%Y%m%d)-$(date +%H%M).graph",
            "sts-20210701-0130.graph",
        ),
        (
            "sts-$(date -u +%Y%m%d-%H%M).graph",
            "sts-20210630-2330.graph",
        ),
        (
            "sts-$(date --utc +%Y%m%d-%H%M).graph",
            "sts-20210630-2330.graph",
        ),
    ];
    for (template, name) in templates {
        let pattern = Pattern::new(template, r"sts-([0-9]*-[0-9]*)\.graph", FORMAT).unwrap();
        assert_eq!(pattern.render(&taken), name, "{template}");
        assert_eq!(
            pattern.taken(name, &amsterdam()),
            Some(taken.clone()),
            "{template}"
        );
    }
}

#[test]
fn only_whole_names_are_backups() {
    let zone = TimeZone::UTC;
    let pattern = default();
    let taken = at("2021-02-16T03:00:00", &zone);
    assert_eq!(
        pattern.read("sts-backup-20210216-0300.graph.01", &zone),
        Reading::Part {
            of: "sts-backup-20210216-0300.graph",
            number: 1,
            taken
        }
    );
    for other in [
        "",
        ".",
        ".00",
        "sts-backup-20210216-0300.graph.bak",
        "sts-backup-20210216-0300.graph.stackpacks.zip",
        "old-sts-backup-20210216-0300.graph",
        "sts-backup-20211316-0300.graph",
        "sts-backup-20210216-2560.graph",
        "sts-backup--.graph",
        "sts-backup-2021-0300.graph",
        "sts-backup-20210216-0300.graph.01.01",
        "sts-backup-20210216-0300.graph.99999999999",
        "sts-backup-20210216-0300.sty",
    ] {
        assert_eq!(pattern.read(other, &zone), Reading::Other, "{other}");
    }
}

#[test]
fn a_name_that_ends_in_digits_is_not_a_part() {
    let pattern =
        Pattern::new("backup.$(date +%Y%m%d%H%M)", r"backup\.(\d+)", "%Y%m%d%H%M").unwrap();
    let zone = TimeZone::UTC;
    let taken = at("2021-02-16T03:00:00", &zone);
    assert_eq!(
        pattern.read("backup.202102160300", &zone),
        Reading::Backup {
            taken: taken.clone()
        }
    );
    assert_eq!(
        pattern.read("backup.202102160300.00", &zone),
        Reading::Part {
            of: "backup.202102160300",
            number: 0,
            taken
        }
    );
}

#[test]
fn a_repeated_time_is_the_later_and_a_skipped_one_still_a_time() {
    let taken = |name| {
        default()
            .taken(name, &amsterdam())
            .unwrap()
            .strftime("%F %R%z")
            .to_string()
    };
    assert_eq!(
        taken("sts-backup-20211031-0230.graph"),
        "2021-10-31 02:30+0100"
    );
    assert_eq!(
        taken("sts-backup-20210328-0230.graph"),
        "2021-03-28 03:30+0200"
    );
}

#[test]
fn nothing_is_left_to_a_shell() {
    let templates = [
        "sts-$(hostname)-$(date +%Y%m%d-%H%M).graph",
        "sts-`date +%Y%m%d`.graph",
        "sts-$HOSTNAME-$(date +%Y%m%d-%H%M).graph",
        "sts-${HOSTNAME:-x}-$(date +%Y%m%d-%H%M).graph",
        "sts-$(date +%Y$(rm -rf /)).graph",
        "sts-$(date +%Y; reboot).graph",
        "sts-$(date).graph",
        "sts-$(date -d yesterday +%Y%m%d-%H%M).graph",
        "sts-$(date +%Y%m%d-%H%M.graph",
        "sts-$((1+1))-$(date +%Y%m%d-%H%M).graph",
        "ä\\n-$(date +%Y%m%d-%H%M).graph",
        "sts$-$(date +%Y%m%d-%H%M).graph",
        "sts-$(date +%Y%m%d)$(date -u +%H%M).graph",
        "sts.graph",
        "",
        "sts-$(date +%Y%m%d-%H%M-%Z).graph",
        "sts-$(date +%Y%m%d-%H%M%).graph",
        "sts-$(date +%Y/%m%d-%H%M).graph",
    ];
    let refusals: Vec<_> = templates
        .iter()
        .map(|template| refusal(template, "(.*)", FORMAT))
        .collect();
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    `sts-$(hostname)-$(date +%Y%m%d-%H%M).graph` is not a name template: column 5, `$(hostname)` would be run by a shell; only `$(date +FORMAT)` is understood, perhaps with `-u`
    `sts-`date +%Y%m%d`.graph` is not a name template: column 5, ``date +%Y%m%d`` would be run by a shell; only `$(date +FORMAT)` is understood
    `sts-$HOSTNAME-$(date +%Y%m%d-%H%M).graph` is not a name template: column 5, `$HOSTNAME` is a shell variable; write its value
    `sts-${HOSTNAME:-x}-$(date +%Y%m%d-%H%M).graph` is not a name template: column 5, `${HOSTNAME:-x}` is a shell variable; write its value
    `sts-$(date +%Y$(rm -rf /)).graph` is not a name template: column 5, `$(date +%Y$(rm -rf /)` would be run by a shell; only `$(date +FORMAT)` is understood, perhaps with `-u`
    `sts-$(date +%Y; reboot).graph` is not a name template: column 5, `$(date +%Y; reboot)` would be run by a shell; only `$(date +FORMAT)` is understood, perhaps with `-u`
    `sts-$(date).graph` is not a name template: column 5, `$(date)` would be run by a shell; only `$(date +FORMAT)` is understood, perhaps with `-u`
    `sts-$(date -d yesterday +%Y%m%d-%H%M).graph` is not a name template: column 5, `$(date -d yesterday +%Y%m%d-%H%M)` would be run by a shell; only `$(date +FORMAT)` is understood, perhaps with `-u`
    `sts-$(date +%Y%m%d-%H%M.graph` is not a name template: column 5, `$(date +%Y%m%d-%H%M.graph` is not closed
    `sts-$((1+1))-$(date +%Y%m%d-%H%M).graph` is not a name template: column 5, `$((1+1)` would be run by a shell; only `$(date +FORMAT)` is understood, perhaps with `-u`
    `ä\n-$(date +%Y%m%d-%H%M).graph` is not a name template: column 2, `\` has a meaning in a shell and none here
    `sts$-$(date +%Y%m%d-%H%M).graph` is not a name template: column 4, `$` is a shell variable; write its value
    `sts-$(date +%Y%m%d)$(date -u +%H%M).graph` is not a name template: column 20, `$(date -u +%H%M)` mixes UTC and local time in one name
    `sts.graph` is not a name template: column 1, `sts.graph` has no `$(date +FORMAT)`, so that every backup would have the same name
    `` is not a name template: column 1, `` has no `$(date +FORMAT)`, so that every backup would have the same name
    `%Y%m%d-%H%M-%Z` is not a date format: column 13, `%Z` is not understood; there are `%Y`, `%m`, `%d`, `%H`, `%M`, `%S`, `%y`, `%j`, `%b`, `%B`, `%h`, `%a`, `%A`, `%I`, `%p`, `%P`, `%F`, `%T`, `%R`, `%s`, `%N`, `%u`, `%G`, `%V`, `%%`
    `%Y%m%d-%H%M%` is not a date format: column 12, `%` is not understood; there are `%Y`, `%m`, `%d`, `%H`, `%M`, `%S`, `%y`, `%j`, `%b`, `%B`, `%h`, `%a`, `%A`, `%I`, `%p`, `%P`, `%F`, `%T`, `%R`, `%s`, `%N`, `%u`, `%G`, `%V`, `%%`
    backups would have names such as `sts-2001/0203-0405.graph`, and '/' cannot be part of a name
    "#);
}

#[test]
fn parts_that_do_not_agree_are_refused() {
    let refusals = [
        refusal(TEMPLATE, "sts-backup-([0-9]*-[0-9]*)", FORMAT),
        refusal(TEMPLATE, "sts-backup-([0-9]*-[0-9]*).stj", FORMAT),
        refusal(TEMPLATE, "sts-backup-[0-9]*-[0-9]*.graph", FORMAT),
        refusal(TEMPLATE, "sts-backup-([0-9]*-[0-9]*.graph", FORMAT),
        refusal(TEMPLATE, "(?<=sts-)backup-([0-9]*-[0-9]*).graph", FORMAT),
        refusal(TEMPLATE, REGEXP, "%Y-%m-%d"),
        refusal(TEMPLATE, REGEXP, "%Y%d%m-%H%M"),
        refusal(TEMPLATE, REGEXP, "%Y%m%d-%H%M%z"),
        refusal("sts-$(date +%Y%m%d).graph", "sts-([0-9]*).graph", "%Y%m%d"),
        refusal(
            "sts-$(date +%Y%m%d-%I%M).graph",
            "sts-([0-9-]*).graph",
            "%Y%m%d-%I%M",
        ),
        refusal(
            "sts-$(date +%Y%m%d-%H%M).graph",
            "sts-([0-9-]*).graph",
            "%Y%m%d-%M%H",
        ),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    backups would have names such as `sts-backup-20010203-0405.graph`, which `sts-backup-([0-9]*-[0-9]*)` does not match to its end: `.graph` is left over; they would never be listed nor expire
    backups would have names such as `sts-backup-20010203-0405.graph`, which `sts-backup-([0-9]*-[0-9]*).stj` does not match; they would never be listed nor expire
    `sts-backup-[0-9]*-[0-9]*.graph` has no group in parentheses around the time
    `sts-backup-([0-9]*-[0-9]*.graph` is not a regular expression, or not one that can be understood here
      caused by: regex parse error:
        sts-backup-([0-9]*-[0-9]*.graph
                   ^
    error: unclosed group
    `(?<=sts-)backup-([0-9]*-[0-9]*).graph` is not a regular expression, or not one that can be understood here
      caused by: regex parse error:
        (?<=sts-)backup-([0-9]*-[0-9]*).graph
        ^^^^
    error: look-around, including look-ahead and look-behind, is not supported
    backups would have names such as `sts-backup-20010203-0405.graph`, whose time `20010203-0405` is not of the format `%Y-%m-%d`; they would never be listed nor expire
      caused by: strptime parsing failed: expected to match literal byte `-` from format string, but found byte `0` in input
    a backup taken at 2001-02-03T04:05:06 would have the name `sts-backup-20010203-0405.graph`, which reads as 2001-03-02T04:05:00; a name must carry the time to the minute
    `%Y%m%d-%H%M%z` is not a date format: column 12, `%z` is not understood; there are `%Y`, `%m`, `%d`, `%H`, `%M`, `%S`, `%y`, `%j`, `%b`, `%B`, `%a`, `%A`, `%I`, `%p`, `%f`, `%%`
    a backup taken at 2001-02-03T04:05:06 would have the name `sts-20010203.graph`, which reads as 2001-02-03T00:00:00; a name must carry the time to the minute
    a backup taken at 2021-02-16T15:47:59 would have the name `sts-20210216-0347.graph`, which reads as 2021-02-16T03:47:00; a name must carry the time to the minute
    a backup taken at 2001-02-03T04:05:06 would have the name `sts-20010203-0405.graph`, which reads as 2001-02-03T05:04:00; a name must carry the time to the minute
    ");
}

#[test]
fn other_complete_times_will_do() {
    let patterns = [
        ("b-$(date +%y%j%H%M%S)", "b-([0-9]*)", "%y%j%H%M%S"),
        ("b-$(date +%d%b%Y-%I%M%p)", "b-(.*)", "%d%b%Y-%I%M%p"),
        ("b-$(date +%FT%T)", "b-(.*)", "%Y-%m-%dT%H:%M:%S"),
        (
            "b-$(date +%-d.%-m.%Y.%H%M).graph",
            r"b-([\d.]*)\.graph",
            "%d.%m.%Y.%H%M",
        ),
        (
            "b-$(date +%Y%m%d-%H%M).$(date +%N)",
            r"b-(\d*-\d*)\.\d*",
            FORMAT,
        ),
    ];
    for (template, regexp, format) in patterns {
        let pattern = Pattern::new(template, regexp, format).unwrap();
        let taken = at("2021-12-09T21:47:00", &TimeZone::UTC);
        let name = pattern.render(&taken);
        assert_eq!(pattern.taken(&name, &TimeZone::UTC), Some(taken), "{name}");
    }
}

#[test]
fn keys_are_prefix_and_name() {
    assert_eq!(key("stackgraph/", "a.graph"), "stackgraph/a.graph");
    assert_eq!(
        from_key("stackgraph/", "stackgraph/a.graph"),
        Some("a.graph")
    );
    assert_eq!(from_key("", "a.graph"), Some("a.graph"));
    for elsewhere in [
        "stackgraph/",
        "stackgraph/v2/a.graph",
        "a.graph",
        "stackgraph",
    ] {
        assert_eq!(from_key("stackgraph/", elsewhere), None, "{elsewhere}");
    }
}

proptest! {
    #[test]
    fn a_rendered_name_reads_as_the_same_minute(second in 0_i64..4_000_000_000) {
        let moment = jiff::Timestamp::from_second(second).unwrap();
        let utc = moment.to_zoned(TimeZone::UTC);
        let read = default().taken(&default().render(&utc), &TimeZone::UTC).unwrap();
        prop_assert_eq!(utc.timestamp().as_second() / 60 * 60, read.timestamp().as_second());
        // Elsewhere a repeated hour may make it younger by that hour, never older.
        let local = moment.to_zoned(amsterdam());
        let read = default().taken(&default().render(&local), &amsterdam()).unwrap();
        let younger = read.timestamp().as_second() - local.timestamp().as_second();
        prop_assert!((-59..=0).contains(&younger) || (3541..=3600).contains(&younger));
    }

    #[test]
    fn reading_never_panics(name in "(sts-backup-)?[0-9-]{0,14}(\\.graph)?(\\.[0-9]{0,3})?\\PC{0,3}") {
        if let Some(taken) = default().taken(&name, &amsterdam()) {
            prop_assert!(name.starts_with("sts-backup-"));
            prop_assert_eq!(taken.second(), 0);
        }
    }

    #[test]
    fn a_pattern_is_refused_or_works(
        template in "[a-z]{0,3}[$`\\\\\"']?(\\$\\(date [-+u% '\"]{0,3}(%[a-zA-Z%-]){0,5}\\))?\\PC{0,3}",
        regexp in "[a-z.(?*+|\\\\]{0,6}\\(.\\*\\)",
        format in "(%[a-zA-Z%]){0,5}\\PC{0,2}",
    ) {
        if let Ok(pattern) = Pattern::new(&template, &regexp, &format) {
            let now = at("2021-02-16T03:00:00", &TimeZone::UTC);
            prop_assert!(pattern.taken(&pattern.render(&now), &TimeZone::UTC).is_some());
        }
    }
}
