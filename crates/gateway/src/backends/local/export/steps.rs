//! Every object of a volume in order, with what is to be done about it. Reading only.
//!
//! The plan and its carrying out both go through here, so that they decide alike.

use std::io;

use super::fit::{Below, Telling, Unfit};
use super::{ExportError, Format};
use crate::backend::listing::ListQuery;
use crate::backend::{Error, ObjectPath};
use crate::backends::local::contents::Contents;
use crate::backends::local::foreign::s3proxy;
use crate::backends::local::objects::{Found, Lies};
use crate::backends::local::record::{Origin, Record, modified};
use crate::backends::local::stage::get_record;

/// How an object comes into the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// One more name for its file, which is as it has to be.
    Link,
    /// The same, after giving the file the time and the attributes that the other server shows. What this gateway shows of
    /// it is in a record of its own.
    Change,
    /// A file of its own.
    Copy,
    /// It has no bytes.
    Folder,
}

/// One thing to do.
pub(super) enum Step {
    Bucket(String),
    Object(Box<Item>),
    Unfit {
        bucket: String,
        /// Nothing if it is the whole bucket.
        key: Option<String>,
        unfit: Unfit,
    },
}

/// An object that the other server can hold.
pub(super) struct Item {
    pub(super) path: ObjectPath,
    pub(super) found: Found,
    /// Below the folder of its bucket.
    pub(super) names: Vec<String>,
    pub(super) telling: Telling,
    pub(super) way: Way,
}

/// Goes through a volume.
pub(super) struct Steps<'a> {
    contents: &'a Contents,
    format: Format,
    /// The number of the file system on which files can be linked; nothing where none are to be.
    device: Option<u64>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(contents: &'a Contents, format: Format, device: Option<u64>) -> Self {
        Self {
            contents,
            format,
            device,
        }
    }

    /// Calls `each` for everything, buckets before what is in them, keys in order.
    pub(super) fn each(
        self,
        mut each: impl FnMut(Step) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        for bucket in self.contents.bucket_names()? {
            match self.contents.bucket(&bucket) {
                Ok(_) => {}
                Err(Error::NoSuchBucket { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            if let Err(unfit) = self.format.admits_bucket(&bucket) {
                let key = None;
                each(Step::Unfit { bucket, key, unfit })?;
                continue;
            }
            each(Step::Bucket(bucket.clone()))?;
            let mut last = String::new();
            loop {
                let (keys, more) = self.contents.keys_after(&bucket, &last)?;
                for key in keys {
                    if let Some(step) = self.step(&bucket, &key)? {
                        each(step)?;
                    }
                    last = key;
                }
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }

    fn step(&self, bucket: &str, key: &str) -> Result<Option<Step>, ExportError> {
        let path = ObjectPath::new(bucket, key)?;
        let unfit = |unfit| {
            Ok(Some(Step::Unfit {
                bucket: bucket.to_owned(),
                key: Some(key.to_owned()),
                unfit,
            }))
        };
        let found = match self.contents.find(&path) {
            Ok(found) => found,
            Err(Error::NoSuchKey { .. } | Error::NoSuchBucket { .. }) => return Ok(None),
            Err(error @ (Error::DamagedRecord { .. } | Error::NotSupported { .. })) => {
                let reason = error.to_string();
                return unfit(Unfit::Unreadable { reason });
            }
            Err(error) => return Err(error.into()),
        };
        let names = match self.format.names(key) {
            Ok(names) => names,
            Err(reason) => return unfit(reason),
        };
        let below = self.below(&path, &found)?;
        let telling = match self.format.tell(key, found.size(), &found.record, below) {
            Ok(telling) => telling,
            Err(reason) => return unfit(reason),
        };
        let wrap = Error::io("reading the object");
        let way = if key.ends_with('/') {
            Way::Folder
        } else {
            self.way(&found, &telling).map_err(wrap)?
        };
        Ok(Some(Step::Object(Box::new(Item {
            path,
            found,
            names,
            telling,
            way,
        }))))
    }

    /// Whether there are keys below a key. Only what lies in a folder of its name can have some.
    fn below(&self, path: &ObjectPath, found: &Found) -> Result<Below, Error> {
        let key = path.key();
        if found.lies == Lies::AtItsName && !key.ends_with('/') {
            return Ok(Below::Nothing);
        }
        let prefix = match key.strip_suffix('/') {
            Some(_) => key.to_owned(),
            None => format!("{key}/"),
        };
        let query = ListQuery {
            after: Some(key.to_owned()),
            prefix,
            limit: 1,
            ..ListQuery::default()
        };
        let page = self.contents.list(path.bucket(), &query)?;
        Ok(if page.entries.is_empty() {
            Below::Nothing
        } else {
            Below::Keys
        })
    }

    /// A file that several names share can say only one thing to a server that asks the file, or to a gateway that takes
    /// the target over later: it gets the names of which its own record speaks.
    fn way(&self, found: &Found, telling: &Telling) -> io::Result<Way> {
        let Found {
            file, stat, record, ..
        } = found;
        // Whoever put a file there by hand may write into it.
        if self.device != Some(stat.st_dev) || record.origin == Origin::Nobody {
            return Ok(Way::Copy);
        }
        let own = get_record(file)?.and_then(|own| Record::from_bytes(&own).ok());
        if own.as_ref().is_some_and(|own| !own.says_the_same(record)) {
            return Ok(Way::Copy);
        }
        let as_it_is = modified(stat).as_millisecond() == record.modified().as_millisecond()
            && match telling {
                Telling::Attributes(wanted) => s3proxy::attached(file)?.as_ref() == Some(wanted),
                Telling::Beside(_) | Telling::Nothing => true,
            };
        Ok(match own {
            _ if as_it_is => Way::Link,
            Some(_) => Way::Change,
            // Its time and its attributes are what this gateway knows of it.
            None => Way::Copy,
        })
    }
}
