//! `Authorization` headers: what is read of one is what it says, and it is read again from a header that says only that.
//!
//! An input is a header as it comes; its lines, if it has four, are also the parts of one.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/gateway/src/protocol/authorization.rs"]
mod authorization;
#[path = "../../crates/gateway/src/protocol/chunks.rs"]
#[expect(dead_code, reason = "only its reader of signatures is used here")]
mod chunks;

use authorization::Authorization;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    check_signature(text);
    if let Some(read) = Authorization::parse(text) {
        check_read(text, &read);
    }
    let mut lines = text.split('\n');
    if let (Some(key), Some(region), Some(names), Some(signature), None) = (
        lines.next(),
        lines.next(),
        lines.next(),
        lines.next(),
        lines.next(),
    ) {
        check_written(key, region, names, signature);
    }
});

/// A signature is 64 digits and nothing else.
fn check_signature(text: &str) {
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let read = chunks::read_signature(text);
    assert_eq!(read.is_some(), digits);
    if let Some(read) = read {
        assert_eq!(hex::encode(read), text.to_ascii_lowercase());
    }
}

fn check_read(text: &str, read: &Authorization<'_>) {
    assert!(text.contains(read.access_key) && text.contains(read.scope));
    assert!(!read.access_key.contains(['/', ',']), "{read:?}");
    let parts: Vec<&str> = read.scope.split('/').collect();
    assert!(matches!(parts[..], [_, _, _, "aws4_request"]), "{read:?}");
    let again = header(
        read.access_key,
        read.scope,
        "host",
        &hex::encode(read.signature),
    );
    assert_eq!(Authorization::parse(&again).as_ref(), Some(read));
}

/// A header of these parts is read if and only if each can be one, and then as they are.
fn check_written(key: &str, region: &str, names: &str, signature: &str) {
    let scope = format!("20130524/{region}/s3/aws4_request");
    let header = header(key, &scope, names, signature);
    let read = Authorization::parse(&header);
    let whole = !key.contains(['/', ','])
        && !region.contains(['/', ','])
        && !names.contains(',')
        && chunks::read_signature(signature.trim()).is_some();
    match read {
        Some(read) => {
            assert!(whole, "`{header}` was read");
            assert_eq!((read.access_key, read.scope), (key, scope.as_str()));
        }
        // White space around the whole header means nothing, inside of it much.
        None => assert!(
            !whole || signature.trim_end() != signature || signature.trim_start() != signature,
            "`{header}` was not read"
        ),
    }
}

fn header(key: &str, scope: &str, names: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
}
