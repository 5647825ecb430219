//! What a backup has to do in the bucket, in an order that never leaves it without a backup that restores.
//!
//! Pure: what the snapshot holds and what lies below the prefix give the plan. The order in which it is carried out:
//!
//! 1. an empty list for each table that is new, then what is new in all tables: a server that opens the backup before
//!    passes over parts that no list names; where the backup before has tables with parts and no list, vmbackup's mark has gone before;
//! 2. vmbackup's completion mark goes and the manifest is written, in either order: from here the new backup counts for us;
//! 3. the lists are replaced and what is no longer wanted is deleted, all at once;
//! 4. the mark comes back: from here the new backup counts for vmrestore too.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::{self, Slice};
use crate::parts;
use crate::snapshot::Snapshot;

/// What lies below the prefix of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Slices, and how long their objects are.
    pub slices: BTreeMap<Slice, u64>,
    /// Objects that are nobody's slices, without those that every tool passes over.
    pub strange: Vec<String>,
    /// Those whose names end in `.ignore`, and their bytes.
    pub special: BTreeMap<String, u64>,
}

/// What has to be done, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// vmbackup's mark has to go before anything is sent. Servers before 1.90 take every folder for a part, and so does any server that finds no list: of tables
    /// without a list vmrestore must not restore what is on its way, nor an empty list, by which a server deletes the parts that are there.
    pub mark_goes_first: bool,
    /// Lists that name no part, for tables that are not there yet.
    pub empty_lists: Vec<Slice>,
    /// What is sent, the largest first.
    pub uploads: Vec<Slice>,
    /// Those of `uploads` that are stored already, and are not what they should be.
    pub damaged: BTreeSet<Slice>,
    /// Those of `kept` that are not what they should be either, and cannot be sent again.
    pub beyond_repair: BTreeSet<Slice>,
    /// What is there already.
    pub kept: Vec<Slice>,
    /// Lists and their like that have to go before those that replace them come, for they have another size and so another name.
    pub replaced: Vec<Slice>,
    /// Lists and their like.
    pub held: Vec<Slice>,
    /// What no file of the backup needs.
    pub obsolete: Vec<Slice>,
}

impl Stored {
    /// Sorts what a listing shows; names are without the prefix.
    pub fn sort(listed: impl IntoIterator<Item = (String, u64)>) -> Self {
        let mut stored = Self::default();
        for (name, size) in listed {
            if name.ends_with(layout::IGNORED) {
                stored.special.insert(name, size);
            } else if let Some(slice) = Slice::parse(&name) {
                stored.slices.insert(slice, size);
            } else if size > 0 {
                // One without bytes is what some programs put there to show a folder.
                stored.strange.push(name);
            }
        }
        stored
    }

    pub fn has(&self, slice: &Slice) -> bool {
        self.slices.get(slice) == Some(&slice.size)
    }

    pub fn size(&self) -> u64 {
        self.slices.values().sum()
    }
}

impl Plan {
    pub fn make(snapshot: &Snapshot, stored: &Stored) -> Self {
        let mut plan = Self {
            mark_goes_first: snapshot.lists().is_empty(),
            ..Self::default()
        };
        let mut wanted: BTreeSet<Slice> = BTreeSet::new();
        for (path, size) in &snapshot.files {
            for slice in Slice::of(path, *size) {
                if stored.has(&slice) {
                    plan.kept.push(slice.clone());
                } else {
                    plan.uploads.push(slice.clone());
                }
                wanted.insert(slice);
            }
        }
        let there: BTreeSet<&str> = stored
            .slices
            .keys()
            .map(|slice| slice.path.as_str())
            .collect();
        for (path, content) in &snapshot.held {
            for slice in Slice::of(path, content.len() as u64) {
                plan.held.push(slice.clone());
                wanted.insert(slice);
            }
            if let (false, Some(empty)) = (there.contains(path.as_str()), parts::empty_list(path)) {
                if parts::has_parts(path, &there) {
                    plan.mark_goes_first = true;
                } else {
                    plan.empty_lists.extend(Slice::of(path, empty.len() as u64));
                }
            }
        }
        for slice in stored.slices.keys() {
            if wanted.contains(slice) {
                continue;
            }
            let list = if snapshot.held.contains_key(&slice.path) {
                &mut plan.replaced
            } else {
                &mut plan.obsolete
            };
            list.push(slice.clone());
        }
        for slice in &plan.empty_lists {
            if !wanted.contains(slice) {
                plan.replaced.push(slice.clone());
            }
        }
        plan.sort();
        plan
    }

    /// Sends `damaged` again, which is kept otherwise. Until it comes, the backup before is as damaged as it was.
    pub fn send_again(&mut self, damaged: BTreeSet<Slice>, beyond_repair: BTreeSet<Slice>) {
        self.kept.retain(|slice| !damaged.contains(slice));
        self.uploads.extend(damaged.iter().cloned());
        self.damaged.extend(damaged);
        self.beyond_repair = beyond_repair;
        self.sort();
    }

    fn sort(&mut self) {
        self.uploads
            .sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.cmp(b)));
    }

    /// How many objects go that were there before: an empty list is the run's own.
    pub fn deletion_count(&self) -> usize {
        let own = |slice: &&Slice| self.empty_lists.contains(slice);
        let replaced = self.replaced.iter().filter(|slice| !own(slice)).count();
        self.obsolete.len() + replaced
    }

    /// Bytes that will be sent.
    pub fn upload_size(&self) -> u64 {
        self.uploads
            .iter()
            .chain(&self.held)
            .map(|slice| slice.size)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snapshot(files: &[(&str, u64)], held: &[(&str, &str)]) -> Snapshot {
        Snapshot {
            files: files
                .iter()
                .map(|(path, size)| ((*path).to_owned(), *size))
                .collect(),
            held: held
                .iter()
                .map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec()))
                .collect(),
            ..Snapshot::default()
        }
    }

    /// What lies there after so many steps of the plan. Those of its last group are under way at once, and come in one order or another.
    fn after(stored: &Stored, plan: &Plan, steps: usize, turn: usize) -> Stored {
        let mut now = stored.clone();
        let puts = |slices: &[Slice]| {
            slices
                .iter()
                .cloned()
                .map(|slice| (true, slice))
                .collect::<Vec<_>>()
        };
        let deletes = |slices: &[Slice]| {
            slices
                .iter()
                .cloned()
                .map(|slice| (false, slice))
                .collect::<Vec<_>>()
        };
        let mut last = [
            deletes(&plan.replaced),
            puts(&plan.held),
            deletes(&plan.obsolete),
        ]
        .concat();
        let turns = turn % last.len().max(1);
        last.rotate_left(turns);
        let all = [puts(&plan.empty_lists), puts(&plan.uploads), last].concat();
        for (put, slice) in all.into_iter().take(steps) {
            if put {
                now.slices.insert(slice.clone(), slice.size);
            } else {
                now.slices.remove(&slice);
            }
        }
        now
    }

    fn stored(snapshot: &Snapshot) -> Stored {
        after(
            &Stored::default(),
            &Plan::make(snapshot, &Stored::default()),
            usize::MAX,
            0,
        )
    }

    #[test]
    fn what_is_there_is_kept_and_lists_are_always_sent() {
        let old = snapshot(
            &[
                ("data/small/m/1/values.bin", 5),
                ("data/small/m/2/values.bin", 6),
            ],
            &[("data/small/m/parts.json", "[1,2]")],
        );
        let new = snapshot(
            &[
                ("data/small/m/2/values.bin", 6),
                ("data/small/m/3/values.bin", 7),
                ("data/small/n/4/values.bin", 900),
            ],
            &[
                ("data/small/m/parts.json", "[2,33]"),
                ("data/small/n/parts.json", "[4]"),
            ],
        );
        let plan = Plan::make(&new, &stored(&old));
        let names = |slices: &[Slice]| {
            slices
                .iter()
                .map(|slice| format!("{} {}", slice.path, slice.size))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&plan.empty_lists), ["data/small/n/parts.json 21"]);
        assert_eq!(
            names(&plan.uploads),
            [
                "data/small/n/4/values.bin 900",
                "data/small/m/3/values.bin 7"
            ]
        );
        assert_eq!(names(&plan.kept), ["data/small/m/2/values.bin 6"]);
        assert_eq!(
            names(&plan.replaced),
            ["data/small/m/parts.json 5", "data/small/n/parts.json 21"]
        );
        assert_eq!(
            names(&plan.held),
            ["data/small/m/parts.json 6", "data/small/n/parts.json 3"]
        );
        assert_eq!(names(&plan.obsolete), ["data/small/m/1/values.bin 5"]);
        assert_eq!(plan.upload_size(), 916);
    }

    /// A server before 1.90 writes no lists; a newer one opens what it left without them.
    #[test]
    fn a_table_that_gets_its_first_list_gets_no_empty_one_before_and_takes_the_mark_away() {
        let name = "9_1_20231101000000.000_20231101000000.000_1A";
        let small = format!("data/small/2023_11/{name}/values.bin");
        let big = format!("data/big/2023_12/{name}/values.bin");
        let index = "indexdb/17/9_1_2B/items.bin";
        let old = snapshot(&[(&small, 5), (&big, 6), (index, 7)], &[]);
        let first = Plan::make(&old, &Stored::default());
        assert!(first.mark_goes_first, "the server knows no lists");
        let lists = [
            "data/small/2023_11/parts.json",
            "data/small/2023_12/parts.json",
            "indexdb/17/parts.json",
        ];
        for list in lists {
            let new = snapshot(&[], &[(list, "[]")]);
            let plan = Plan::make(&new, &stored(&old));
            assert!(plan.mark_goes_first, "{list}");
            assert_eq!(plan.empty_lists, [], "{list}");
        }
        for list in ["data/small/2024_01/parts.json", "indexdb/1/parts.json"] {
            let new = snapshot(&[], &[(list, "[]")]);
            let plan = Plan::make(&new, &stored(&old));
            assert!(!plan.mark_goes_first, "{list}");
            assert_eq!(plan.empty_lists.len(), 1, "{list}");
            // Once it is there, it is like any other.
            let next = Plan::make(&new, &stored(&new));
            assert!(
                !next.mark_goes_first && next.empty_lists.is_empty(),
                "{list}"
            );
        }
    }

    #[test]
    fn an_empty_list_that_comes_and_goes_is_nothing_that_was_deleted() {
        let snapshot = snapshot(&[], &[("data/small/2023_11/parts.json", "[\"17983B\"]")]);
        let plan = Plan::make(&snapshot, &Stored::default());
        assert_eq!((plan.empty_lists.len(), plan.replaced.len()), (1, 1));
        assert_eq!(plan.deletion_count(), 0);
        // What was there before went away.
        let stored = Stored::sort([(
            "data/small/2023_10/1A/values.bin/0000000000000001_0000000000000000_0000000000000001"
                .to_owned(),
            1,
        )]);
        assert_eq!(Plan::make(&snapshot, &stored).deletion_count(), 1);
    }

    #[test]
    fn a_short_object_is_sent_again() {
        let wanted = snapshot(&[("data/small/m/1/values.bin", 5)], &[]);
        let mut there = stored(&wanted);
        *there.slices.values_mut().next().unwrap() = 4;
        assert_eq!(Plan::make(&wanted, &there).uploads.len(), 1);
    }

    fn any_snapshot() -> impl Strategy<Value = Snapshot> {
        let files = prop::collection::btree_map((0_u8..4, 0_u8..6), 0_u64..3, 0..12);
        let held = prop::collection::btree_map(0_u8..4, "[a-z]{0,3}", 0..4);
        (files, held).prop_map(|(files, held)| Snapshot {
            files: files
                .into_iter()
                .map(|((month, part), size)| {
                    (format!("data/small/{month}/{part}/values.bin"), size)
                })
                .collect(),
            held: held
                .into_iter()
                .map(|(month, text)| (format!("data/small/{month}/parts.json"), text.into_bytes()))
                .collect(),
            ..Snapshot::default()
        })
    }

    proptest! {
        #[test]
        fn until_the_lists_are_replaced_everything_of_the_backup_before_is_there(old in any_snapshot(), new in any_snapshot(), steps in 0_usize..40) {
            let before = stored(&old);
            let plan = Plan::make(&new, &before);
            let first_steps = steps.min(plan.empty_lists.len() + plan.uploads.len());
            let now = after(&before, &plan, first_steps, 0);
            for slice in before.slices.keys() {
                prop_assert!(now.has(slice));
            }
        }

        #[test]
        fn cut_anywhere_the_next_run_ends_with_the_new_backup_and_nothing_else(old in any_snapshot(), between in any_snapshot(), new in any_snapshot(), steps in 0_usize..60, turn in 0_usize..60) {
            let before = stored(&old);
            let cut = after(&before, &Plan::make(&between, &before), steps, turn);
            let done = after(&cut, &Plan::make(&new, &cut), usize::MAX, turn);
            prop_assert_eq!(done, stored(&new));
        }
    }
}
