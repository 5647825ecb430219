//! Content on its way into the blocks of a blob that lies aside. Nothing of it is seen before the blocks are committed.
//!
//! All but the last block are passed on as they come. The last is held, since its id tells what the whole was; until it
//! has arrived nothing counts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use reqwest::Method;

use super::Azure;
use super::block::{Attempt, to_list};
use super::call::Call;
use super::failure::Failure;
use super::intake::Intake;
use super::name::Name;
use super::objects::Landed;
use crate::backend::Error;
use crate::backend::digest::Digests;

const ACTION: &str = "storing the part";

/// The blocks of one attempt, the last of them still here.
pub(super) struct Blocks<'a> {
    azure: &'a Azure,
    bucket: &'a str,
    name: &'a Name,
    attempt: Attempt,
    ids: Vec<String>,
    last: Vec<Bytes>,
}

impl Azure {
    pub(super) fn attempt(&self, part: u16) -> Attempt {
        let now = self.sources.now().as_millisecond();
        let chance = (self.sources.random)() & u64::from(u32::MAX);
        Attempt {
            part,
            begun: u64::try_from(now).unwrap_or(0),
            chance: u32::try_from(chance).expect("32 bits"),
        }
    }

    /// Sends all of the content but what its last block will hold. `length` in bytes if it is known.
    pub(super) async fn send_blocks<'a>(
        &'a self,
        bucket: &'a str,
        name: &'a Name,
        attempt: Attempt,
        length: Option<u64>,
        intake: &mut Intake,
    ) -> Result<Blocks<'a>, Error> {
        let mut blocks = Blocks {
            azure: self,
            bucket,
            name,
            attempt,
            ids: Vec::new(),
            last: Vec::new(),
        };
        let window = self.limits.window;
        match length {
            Some(length) if length > window => {
                let mut left = length - window / 2;
                while left > 0 {
                    let block = left.min(self.limits.block);
                    blocks.pass(block, intake).await?;
                    left -= block;
                }
                blocks.last = intake.take(window / 2).await?;
            }
            _ => {
                blocks.last = intake.take(window).await?;
                while !intake.is_empty().await? {
                    blocks.send_held().await?;
                    blocks.last = intake.take(window).await?;
                }
            }
        }
        Ok(blocks)
    }

    /// Makes blocks the content of a blob, and returns its etag of Azure's. `call` says what else goes into it.
    pub(super) async fn commit(
        &self,
        call: Call,
        bucket: &str,
        name: &Name,
        ids: &[String],
    ) -> Result<Landed, Failure> {
        let call = call
            .blob(bucket, name)
            .query("comp", "blocklist")
            .body(vec![to_list(ids).into()]);
        let answer = self.client.send(&call).await?;
        Ok(Landed::of(&answer))
    }
}

impl Blocks<'_> {
    fn call(&self, id: &str) -> Call {
        block_call(ACTION, self.bucket, self.name, id)
    }

    fn place(&self) -> Result<u16, Error> {
        u16::try_from(self.ids.len()).map_err(|_| Error::NotSupported {
            what: "a part of so many blocks",
        })
    }

    /// Passes the next `length` bytes on as they come.
    async fn pass(&mut self, length: u64, intake: &mut Intake) -> Result<(), Error> {
        let id = self.attempt.block(self.place()?);
        self.azure
            .client
            .stream(&self.call(&id), length, |feeder| async move {
                intake.feed(&feeder, length).await
            })
            .await
            .map_err(|failure| failure.about_bucket(self.bucket))?;
        self.ids.push(id);
        Ok(())
    }

    /// Sends what is held, as a block that is not the last.
    async fn send_held(&mut self) -> Result<(), Error> {
        let id = self.attempt.block(self.place()?);
        let bytes = std::mem::take(&mut self.last);
        self.send(id, bytes)
            .await
            .map_err(|failure| failure.about_bucket(self.bucket))
    }

    async fn send(&mut self, id: String, bytes: Vec<Bytes>) -> Result<(), Failure> {
        let mut md5 = Md5::new();
        for piece in &bytes {
            md5.update(piece);
        }
        let call = self
            .call(&id)
            .header("content-md5", STANDARD.encode(md5.finalize()))
            .body(bytes);
        self.azure.client.send(&call).await?;
        self.ids.push(id);
        Ok(())
    }

    /// Sends the last block. From then on the part counts.
    pub(super) async fn end(&mut self, digests: &Digests) -> Result<(), Failure> {
        let bytes = std::mem::take(&mut self.last);
        if bytes.is_empty() && self.ids.is_empty() {
            // Azure has no empty blocks.
            let id = self.attempt.empty_block(digests);
            self.send(id, vec![Bytes::from_static(b"-")]).await?;
            self.ids.clear();
            return Ok(());
        }
        let id = self.attempt.last_block(self.place()?, digests);
        self.send(id, bytes).await
    }

    /// What the content consists of, in order.
    pub(super) fn ids(&self) -> &[String] {
        &self.ids
    }
}

/// Begins a call that puts a block.
pub(super) fn block_call(action: &'static str, bucket: &str, name: &Name, id: &str) -> Call {
    Call::new(Method::PUT, action)
        .blob(bucket, name)
        .query("comp", "block")
        .query("blockid", id)
}
