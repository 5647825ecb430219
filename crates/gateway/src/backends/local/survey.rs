//! Everything that lies in the buckets of a volume, seen once: what is an object, and what is there without being served.
//!
//! A listing shows keys; this walk starts from the names on the disk, so that it also meets those to which no key leads.
//! It goes in no order and holds one directory open at a time. It may run beside a gateway that serves the volume: what
//! comes and goes meanwhile may be counted or not.

use std::io;

use rustix::fs::FileType;
use serde::Serialize;

use super::contents::Contents;
use super::objects::{OnDamage, is_absent};
use super::path::{Decoded, EMPTY, decode};
use super::scrub::{Damages, Reason};
use super::tree::{Directory, present};
use crate::backend::{Error, ObjectPath, is_bucket_name};

/// How many things that are not served are named. More are counted.
const MOST: usize = 10_000;
/// What file systems and other programs have beside the buckets.
const EXPECTED: &str = "lost+found";

/// What a walk met.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    pub buckets: u64,
    pub objects: u64,
    pub bytes: u64,
    /// Files that another program had not finished. They are no objects.
    pub leftovers: u64,
    /// What lies among the objects and is not served.
    pub unserved: u64,
    #[serde(skip)]
    pub(super) strays: Vec<Stray>,
}

/// Something among the objects that is not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stray {
    /// Below the volume, with `�` for what is not UTF-8.
    pub path: String,
    pub why: String,
}

/// A directory to be walked.
struct Folder {
    /// From the bucket's directory.
    names: Vec<String>,
    /// What every key below begins with: empty or ending in `/`.
    prefix: String,
    /// The last names, as far as they begin a component that is longer than a name.
    pieces: Vec<String>,
}

impl Survey {
    /// Walks all buckets. Objects whose record cannot be read go to `damages`.
    pub(super) fn make(contents: &Contents, damages: &mut Damages) -> Result<Self, Error> {
        let mut survey = Self::default();
        let mut buckets = Vec::new();
        let root = &contents.root;
        root.for_each_entry(|name, kind| {
            let text = name.to_string_lossy();
            match kind {
                FileType::Directory if is_bucket_name(&text) => buckets.push(text.into_owned()),
                FileType::Directory if !text.starts_with('.') && text != EXPECTED => {
                    survey.stray(text.into_owned(), "its name is none that a bucket can have");
                }
                _ if is_bucket_name(&text) && kind == FileType::Symlink => {
                    survey.stray(text.into_owned(), "it is a symbolic link and not followed");
                }
                _ => {}
            }
            Ok(())
        })
        .map_err(Error::io("listing the buckets"))?;
        for bucket in buckets {
            survey.walk(contents, &bucket, damages)?;
        }
        survey
            .strays
            .sort_by(|one, other| one.path.cmp(&other.path));
        Ok(survey)
    }

    fn walk(
        &mut self,
        contents: &Contents,
        bucket: &str,
        damages: &mut Damages,
    ) -> Result<(), Error> {
        let wrap = Error::io("reading the bucket");
        let Some(root) = present(contents.root.open(bucket)).map_err(&wrap)? else {
            return Ok(());
        };
        self.buckets += 1;
        let mut folders = vec![Folder {
            names: Vec::new(),
            prefix: String::new(),
            pieces: Vec::new(),
        }];
        while let Some(folder) = folders.pop() {
            let mut visit = |survey: &mut Self| -> io::Result<()> {
                let Some(directory) = present(root.walk(&folder.names))? else {
                    return Ok(());
                };
                let place = Place {
                    contents,
                    bucket,
                    root: &root,
                    directory: &directory,
                    folder: &folder,
                };
                survey.look(&place, &mut folders, damages)
            };
            if let Err(error) = visit(self) {
                let path = [&[bucket.to_owned()], &folder.names[..]].concat().join("/");
                self.stray(path, format!("the folder cannot be read: {error}"));
            }
        }
        Ok(())
    }

    /// Looks at everything in one directory.
    fn look(
        &mut self,
        place: &Place<'_>,
        folders: &mut Vec<Folder>,
        damages: &mut Damages,
    ) -> io::Result<()> {
        let Place {
            contents,
            directory,
            folder,
            ..
        } = *place;
        let is_key = !folder.prefix.is_empty() && folder.pieces.is_empty();
        if is_key && !directory.has(EMPTY)? && contents.foreign.folder(directory)?.is_some() {
            self.objects += 1;
        }
        directory.for_each_entry(|name, kind| {
            let Ok(text) = name.to_str() else {
                self.stray(place.path(&name.to_string_lossy()), "its name is not UTF-8");
                return Ok(());
            };
            let what = match kind {
                FileType::RegularFile | FileType::Directory => decode(&folder.pieces, text),
                FileType::Symlink => {
                    self.stray(place.path(text), "it is a symbolic link and not followed");
                    return Ok(());
                }
                _ => {
                    self.stray(place.path(text), "it is neither a file nor a folder");
                    return Ok(());
                }
            };
            match (what, kind) {
                (Some(Decoded::Component(component)), FileType::Directory) => {
                    folders.push(folder.below(text, Some(&component)));
                }
                (Some(Decoded::Beginning), FileType::Directory) => {
                    folders.push(folder.below(text, None));
                }
                (Some(Decoded::Component(component)), _) => {
                    let key = format!("{}{component}", folder.prefix);
                    self.file(place, text, key, damages);
                }
                (Some(Decoded::Itself), FileType::RegularFile) if is_key => {
                    let key = folder.prefix[..folder.prefix.len() - 1].to_owned();
                    self.file(place, text, key, damages);
                }
                _ => self.stray(place.path(text), "no key leads to a file of this name"),
            }
            Ok(())
        })
    }

    /// Looks at the file of one object.
    fn file(&mut self, place: &Place<'_>, name: &str, key: String, damages: &mut Damages) {
        let path = match ObjectPath::new(place.bucket, key) {
            Ok(path) => path,
            Err(error) => return self.stray(place.path(name), error.to_string()),
        };
        let contents = place.contents;
        match contents.find_in(place.root, &path, OnDamage::Refuse) {
            Ok(Some(found)) => {
                self.objects += 1;
                self.bytes += found.size();
            }
            Ok(None) if contents.foreign.may_be_leftover(path.key()) => self.leftovers += 1,
            // Removed since its name was read.
            Ok(None) => {}
            Err(error) => {
                if let Some(reason) = Reason::of(&error) {
                    self.objects += 1;
                    damages.add(reason.about(&path, contents.sources.now(), None));
                    return;
                }
                let why = match &error {
                    Error::Io { source, .. } if is_absent(source) => return,
                    Error::Io { source, .. } => format!("it cannot be opened: {source}"),
                    other => other.to_string(),
                };
                self.stray(place.path(name), why);
            }
        }
    }

    fn stray(&mut self, path: String, why: impl Into<String>) {
        self.unserved += 1;
        if self.strays.len() < MOST {
            let why = why.into();
            self.strays.push(Stray { path, why });
        }
    }
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct Place<'a> {
    contents: &'a Contents,
    bucket: &'a str,
    /// That of the bucket.
    root: &'a Directory,
    directory: &'a Directory,
    folder: &'a Folder,
}

impl Place<'_> {
    /// Where `name` lies below the volume.
    fn path(&self, name: &str) -> String {
        let mut path = self.bucket.to_owned();
        for name in self.folder.names.iter().map(String::as_str).chain([name]) {
            path.push('/');
            path.push_str(name);
        }
        path
    }
}

impl Folder {
    /// The directory `name` in this one: at the end of a component, or in the middle of one.
    fn below(&self, name: &str, component: Option<&str>) -> Self {
        let mut names = self.names.clone();
        names.push(name.to_owned());
        match component {
            Some(component) => Self {
                names,
                prefix: format!("{}{component}/", self.prefix),
                pieces: Vec::new(),
            },
            None => Self {
                names,
                prefix: self.prefix.clone(),
                pieces: self
                    .pieces
                    .iter()
                    .cloned()
                    .chain([name.to_owned()])
                    .collect(),
            },
        }
    }
}
