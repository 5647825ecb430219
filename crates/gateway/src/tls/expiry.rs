//! When a certificate runs out: the one thing of it that the gateway reads itself, for a metric.
//!
//! The TLS library does not say it, and a parser of whole certificates would be the largest dependency for the least use. A
//! certificate begins with a sequence that holds, each as tag, length and bytes: perhaps a version, the serial number, an
//! algorithm, the issuer, and the validity, which is two times (RFC 5280 §4.1).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Returns seconds since 1970. Nothing if the certificate is not as expected.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (certificate, _) = take(certificate, SEQUENCE)?;
    let (mut fields, _) = take(certificate, SEQUENCE)?;
    if let Some((_, rest)) = take(fields, VERSION) {
        fields = rest;
    }
    for _ in ["serial number", "algorithm", "issuer"] {
        (_, _, fields) = next(fields)?;
    }
    let (validity, _) = take(fields, SEQUENCE)?;
    let (_, _, rest) = next(validity)?;
    let (tag, text, _) = next(rest)?;
    seconds(tag, str::from_utf8(text).ok()?)
}

/// The content of the first value, if it has this tag, and what follows it.
fn take(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = next(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// Tag and content of the first value, and what follows it.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        // So many bytes hold the length.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            let length = digits
                .iter()
                .fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Reads `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn seconds(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?;
    let digits = match tag {
        // Years from 1950 to 2049.
        UTC_TIME if digits.get(..2)? < "50" => format!("20{digits}"),
        UTC_TIME => format!("19{digits}"),
        GENERALIZED_TIME => digits.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut asked = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        asked.not_after = rcgen::date_time_ymd(year, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        asked.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_found_in_both_forms_of_time() {
        for year in [2031_i16, 2049, 2050, 2345] {
            let expected = jiff::civil::date(year, 2, 3)
                .to_zoned(TimeZone::UTC)
                .unwrap()
                .timestamp();
            let found = not_after(&certificate(i32::from(year)));
            assert_eq!(found, Some(expected.as_second()), "{year}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            not_after(&bytes);
        }

        #[test]
        fn a_certificate_cut_short_has_no_end(cut in 0_usize..60) {
            let certificate = certificate(2031);
            prop_assert_eq!(not_after(&certificate[..cut]), None);
        }
    }
}
