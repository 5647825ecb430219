//! Damage of stored bytes: what it is found by.

use std::fs;
use std::path::Path;

use lifeboat_gateway::backend::Backend as _;
use lifeboat_gateway::backend::options::CopyOptions;
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart};

use crate::support::{Volume, at, begin, content, put, put_part};

/// The checksum in the record of a file, and that of its bytes.
fn checksums(file: &Path) -> (String, String) {
    let mut record = vec![0; 4096];
    let length = rustix::fs::getxattr(file, "user.lifeboat", record.as_mut_slice()).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record[..length]).unwrap();
    let bytes = fs::read(file).unwrap();
    let found = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes);
    let kept = record["crc"].as_str().unwrap_or("none").to_owned();
    (kept, format!("{found:016x}"))
}

#[tokio::test]
async fn every_object_carries_the_checksum_of_its_bytes() {
    let volume = Volume::new().await;
    let local = &volume.local;
    put(local, "put", "bytes").await.unwrap();
    put(local, "empty", "").await.unwrap();
    fs::write(volume.path().join("bucket/by-hand"), vec![7; 600_000]).unwrap();
    for key in ["put", "by-hand"] {
        let to = at(&format!("copy-of-{key}"));
        local
            .copy(&at(key), &to, CopyOptions::default())
            .await
            .unwrap();
    }
    let full = vec![b'x'; 5 << 20];
    // Sent twice, the part has a file of its own, and completing joins the parts.
    for (key, times) in [("in-place", 1), ("joined", 2)] {
        let upload = begin(local, key).await.unwrap();
        let mut parts = Vec::new();
        for (number, bytes) in [(1, full.as_slice()), (2, b"rest")] {
            for time in 0..times {
                let part = put_part(local, key, &upload, number, content(bytes))
                    .await
                    .unwrap();
                if time == 0 {
                    parts.push(CompletedPart {
                        number,
                        etag: part.etag,
                        checksum: None,
                    });
                }
            }
        }
        let options = CompleteOptions {
            parts,
            ..CompleteOptions::default()
        };
        local
            .complete_upload(&at(key), &upload, options)
            .await
            .unwrap();
    }
    let objects = [
        "put",
        "empty",
        "copy-of-put",
        "copy-of-by-hand",
        "in-place",
        "joined",
    ];
    for object in objects {
        let (kept, found) = checksums(&volume.path().join("bucket").join(object));
        assert_eq!(kept, found, "{object}");
    }
}
