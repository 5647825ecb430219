//! Reading what `cargo test` prints.
//!
//! The harness has no stable machine-readable form. Its summary lines are what counts; single lines are
//! read for names and reasons.

use lifeboat_testkit::skip::Entry;

/// The tests of one `cargo test`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    /// Names; a binary that could not be built or did not come to its end counts as one.
    pub(super) failed: Vec<String>,
    /// The ignored, and those that skipped themselves.
    pub(super) skipped: Vec<Entry>,
}

impl Tally {
    /// Takes in what the tests themselves said: the harness took them for passed, unless they failed after all.
    pub(super) fn skip(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if !self
                .failed
                .iter()
                .any(|failed| path(failed) == path(&entry.test))
            {
                self.passed = self.passed.saturating_sub(1);
                self.skipped.push(entry);
            }
        }
    }
}

/// The test without what comes before it: the harness knows the binary, the test itself its package.
fn path(test: &str) -> &str {
    test.split_once("::").map_or(test, |(_, path)| path)
}

/// Takes in the output line by line.
#[derive(Debug, Default)]
pub(super) struct Harness {
    tally: Tally,
    /// The binary whose tests run: from cargo's line about it.
    binary: String,
    /// A binary has said how many tests it has, but not how they went.
    unfinished: bool,
    in_failures: bool,
}

impl Harness {
    /// Takes in a line and returns whether a person should see it: all but plain success.
    pub(super) fn read(&mut self, line: &str) -> bool {
        if let Some(binary) = binary(line) {
            self.close();
            binary.clone_into(&mut self.binary);
            return true;
        }
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.close();
            self.unfinished = true;
            return false;
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.unfinished = false;
            self.in_failures = false;
            self.tally.passed += count(counts, "passed");
            return !counts.starts_with("ok. 0 passed; 0 failed; 0 ignored");
        }
        if line == "failures:" {
            self.in_failures = true;
        }
        match self.single(line) {
            Some(Single::Ok) => false,
            Some(Single::Failed(name)) => {
                let name = self.name(name);
                self.tally.failed.push(name);
                true
            }
            Some(Single::Ignored(name, reason)) => {
                self.tally.skipped.push(Entry {
                    test: self.name(name),
                    reason: reason.to_owned(),
                });
                true
            }
            None => self.in_failures || !line.trim().is_empty(),
        }
    }

    /// Ends the output. `good` is what cargo's exit code says.
    pub(super) fn finish(mut self, good: bool) -> Tally {
        self.close();
        if !good && self.tally.failed.is_empty() {
            self.tally
                .failed
                .push("cargo test: failed before any test could".to_owned());
        }
        self.tally
    }

    fn close(&mut self) {
        self.in_failures = false;
        if std::mem::take(&mut self.unfinished) {
            let lost = format!("{}: ended in the middle of its tests", self.binary);
            self.tally.failed.push(lost);
        }
    }

    fn name(&self, test: &str) -> String {
        format!("{}::{test}", self.binary)
    }

    /// Reads `test NAME ... STATE`. Failure output, which may contain such lines, is not looked at.
    fn single<'a>(&self, line: &'a str) -> Option<Single<'a>> {
        if self.in_failures {
            return None;
        }
        let (name, state) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        match state.split_once(", ").unwrap_or((state, "")) {
            ("ok", _) => Some(Single::Ok),
            ("FAILED", _) => Some(Single::Failed(name)),
            ("ignored", "") => Some(Single::Ignored(name, "no reason is given")),
            ("ignored", reason) => Some(Single::Ignored(name, reason)),
            _ => None,
        }
    }
}

enum Single<'a> {
    Ok,
    Failed(&'a str),
    Ignored(&'a str, &'a str),
}

/// Reads cargo's `Running unittests src/lib.rs (target/debug/deps/NAME-HASH)` and `Doc-tests NAME`.
fn binary(line: &str) -> Option<&str> {
    let line = line.trim();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(name);
    }
    let (_, path) = line.strip_prefix("Running ")?.rsplit_once(" (")?;
    let file = path.strip_suffix(')')?.rsplit(['/', '\\']).next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _hash)| name))
}

/// Finds `12 passed` among parts that end in semicolons.
fn count(counts: &str, what: &str) -> usize {
    counts
        .split(['.', ';'])
        .filter_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OUTPUT: &str = "\
   Compiling lifeboat-core v0.1.0
     Running unittests src/lib.rs (target/debug/deps/lifeboat_core-5889576ee3afbc84)

running 4 tests
test size::reads ... ok
test size::refuses - should panic ... ok
test size::needs_a_disk ... ignored, needs a disk of its own, and root
test size::rounds ... FAILED

failures:

---- size::rounds stdout ----
test size::fooled ... FAILED

failures:
    size::rounds

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

error: test failed, to rerun pass `-p lifeboat-core --lib`
     Running tests/it/main.rs (target/debug/deps/it-e5bebfbebcfa129c)

running 2 tests
test killed::survives ... ok
   Doc-tests lifeboat_core

running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn counts_what_the_summaries_say_and_names_what_failed() {
        let mut harness = Harness::default();
        for line in OUTPUT.lines() {
            harness.read(line);
        }
        assert_eq!(
            harness.finish(false),
            Tally {
                passed: 2,
                failed: vec![
                    "lifeboat_core::size::rounds".to_owned(),
                    "it: ended in the middle of its tests".to_owned(),
                ],
                skipped: vec![Entry {
                    test: "lifeboat_core::size::needs_a_disk".to_owned(),
                    reason: "needs a disk of its own, and root".to_owned(),
                }],
            }
        );
    }

    #[test]
    fn shows_all_but_plain_success() {
        let mut harness = Harness::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| harness.read(line)).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        Compiling lifeboat-core v0.1.0
             Running unittests src/lib.rs (target/debug/deps/lifeboat_core-5889576ee3afbc84)
        test size::needs_a_disk ... ignored, needs a disk of its own, and root
        test size::rounds ... FAILED
        failures:

        ---- size::rounds stdout ----
        test size::fooled ... FAILED

        failures:
            size::rounds

        test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
        error: test failed, to rerun pass `-p lifeboat-core --lib`
             Running tests/it/main.rs (target/debug/deps/it-e5bebfbebcfa129c)
           Doc-tests lifeboat_core
        ");
    }

    #[test]
    fn a_test_that_skipped_itself_is_not_a_passed_one() {
        let entry = |test: &str| Entry {
            test: test.to_owned(),
            reason: "no network".to_owned(),
        };
        let mut tally = Tally {
            passed: 2,
            failed: vec!["it::s3::skipped_then_failed".to_owned()],
            skipped: Vec::new(),
        };
        tally.skip(vec![
            entry("own::s3::skipped"),
            entry("own::s3::skipped_then_failed"),
        ]);
        assert_eq!((tally.passed, tally.failed.len()), (1, 1));
        assert_eq!(tally.skipped, [entry("own::s3::skipped")]);
    }

    #[test]
    fn tests_that_do_not_build_are_one_failure() {
        let mut harness = Harness::default();
        harness.read("error: could not compile `lifeboat-core` (lib test) due to 1 previous error");
        assert_eq!(harness.finish(false).failed.len(), 1);
    }

    proptest! {
        #[test]
        fn takes_any_lines(lines in prop::collection::vec("(test |running |test result: |Running |failures:)?\\PC{0,20}( \\.\\.\\. ok|\\)| tests)?", 0..20), good: bool) {
            let mut harness = Harness::default();
            for line in &lines {
                harness.read(line);
            }
            let tally = harness.finish(good);
            prop_assert!(good || !tally.failed.is_empty());
        }
    }
}
