//! Which keys count, and which are refused when a command needs them.

use insta::assert_snapshot;

use super::{errors, from, from_all};
use crate::settings::{Credentials, Settings, Storage};

fn exposed(credentials: &Credentials) -> (&str, &str) {
    (
        credentials.access_key.expose(),
        credentials.secret_key.expose(),
    )
}

fn refused(settings: &Settings) -> String {
    settings.gateway_credentials().unwrap_err().to_string()
}

#[test]
fn keys_of_the_values_are_checked_by_the_rule_of_the_seed() {
    for (access, secret, fits) in [
        ("abcde", "abcdefgh", true),
        (
            "A1234567890123456789",
            "A123456789012345678901234567890123456789",
            true,
        ),
        ("abcd", "abcdefgh", false),
        ("abcde", "abcdefg", false),
        ("A12345678901234567890", "abcdefgh", false),
        ("abcde", "A1234567890123456789012345678901234567890", false),
        ("YOUR_ACCESS_KEY", "abcdefgh", false),
        ("abcde", "abc/efgh", false),
        ("abcdé", "abcdefgh", false),
    ] {
        let settings = from(&format!(
            "minio: {{accessKey: '{access}', secretKey: '{secret}'}}"
        ));
        assert_eq!(
            settings.gateway_credentials().is_ok(),
            fits,
            "{access} {secret}"
        );
    }
    let settings = from("minio:\n  accessKey: abcde\n  secretKey: short\n");
    assert_snapshot!(refused(&settings), @"values.yaml:3:14: `minio.secretKey` must be 8 to 40 letters and digits");
}

#[test]
fn numbers_are_texts_where_keys_are_texts() {
    let settings = from("minio: {accessKey: 0123456, secretKey: 123456789012}");
    assert_eq!(
        exposed(&settings.gateway_credentials().unwrap()),
        ("0123456", "123456789012")
    );
}

#[test]
fn missing_keys_and_placeholders_are_refused_with_what_to_set() {
    assert_snapshot!(refused(&from("")),
        @"the access key of the gateway is not set: set `minio.accessKey` in the values or LIFEBOAT_ACCESS_KEY in the environment");
    assert_snapshot!(refused(&from("minio: {accessKey: setme, secretKey: setme}")),
        @"values.yaml:1:20: `minio.accessKey` is still the chart's placeholder: set it to 5 to 20 letters and digits");
    assert_snapshot!(refused(&from("global: {s3proxy: {credentials: {accessKey: default-for-settings-only, secretKey: abcdefgh}}}")),
        @"values.yaml:1:45: `global.s3proxy.credentials.accessKey` is still the chart's placeholder: set it to 5 to 20 letters and digits");
    assert_snapshot!(refused(&from("minio: {existingSecret: my-keys}")),
        @"the access key of the gateway is not set: it is in the Secret `my-keys`: pass it on as LIFEBOAT_ACCESS_KEY in the environment");
}

#[test]
fn the_environment_wins_over_the_values() {
    let values = "minio: {accessKey: fromvalues, secretKey: fromvalues}";
    let environment = [
        ("LIFEBOAT_ACCESS_KEY", "from-env\n"),
        ("LIFEBOAT_SECRET_KEY", "from/env+1"),
    ];
    let settings = from_all(&[values], &[], &environment).unwrap();
    assert_eq!(
        exposed(&settings.gateway_credentials().unwrap()),
        ("from-env", "from/env+1")
    );
    assert_eq!(
        exposed(&settings.client_credentials().unwrap()),
        ("from-env", "from/env+1")
    );

    let settings = from_all(&[values], &[], &[("LIFEBOAT_SECRET_KEY", "fromenviron")]).unwrap();
    assert_eq!(
        exposed(&settings.gateway_credentials().unwrap()),
        ("fromvalues", "fromenviron")
    );

    let settings = from_all(&[values], &[], &[("LIFEBOAT_SECRET_KEY", "")]).unwrap();
    assert_eq!(
        exposed(&settings.gateway_credentials().unwrap()),
        ("fromvalues", "fromvalues")
    );

    let settings = from_all(&[values], &[], &[("LIFEBOAT_SECRET_KEY", "a b c d e")]).unwrap();
    assert_snapshot!(refused(&settings), @"LIFEBOAT_SECRET_KEY: `LIFEBOAT_SECRET_KEY` must be at least 8 characters of ASCII without blanks");
}

#[test]
fn keys_for_aws_stand_in_for_clients_alone_and_as_a_pair() {
    let values = "minio: {accessKey: fromvalues, secretKey: fromvalues}";
    let aws = [
        ("AWS_ACCESS_KEY_ID", "aws"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    ];
    let settings = from_all(&[], &[], &aws).unwrap();
    assert_eq!(
        exposed(&settings.client_credentials().unwrap()),
        ("aws", "key")
    );
    settings.gateway_credentials().unwrap_err();

    let settings = from_all(&[values], &[], &aws).unwrap();
    assert_eq!(
        exposed(&settings.client_credentials().unwrap()),
        ("fromvalues", "fromvalues")
    );

    let settings = from_all(&[], &[], &aws[..1]).unwrap();
    settings.client_credentials().unwrap_err();

    let both = [aws[0], aws[1], ("LIFEBOAT_ACCESS_KEY", "lifeboat")];
    let settings = from_all(&[values], &[], &both).unwrap();
    assert_eq!(
        exposed(&settings.client_credentials().unwrap()),
        ("lifeboat", "fromvalues")
    );
}

#[test]
fn in_azure_mode_the_keys_are_those_of_the_account() {
    let key =
        "c2VjcmV0IGFjY291bnQga2V5IHdpdGggc2xhc2hlcw/+abcdefghijklmnopqrstuvwxyz0123456789ABCD==";
    let settings = from(&format!(
        "backup: {{enabled: true}}\nminio: {{accessKey: my-account.1, secretKey: '{key}', azuregateway: {{enabled: true}}}}"
    ));
    let Storage::Azure(azure) = &settings.storage else {
        panic!("{:?}", settings.storage);
    };
    assert_eq!(azure.account.as_ref().unwrap().expose(), "my-account.1");
    assert_eq!(azure.key.as_ref().unwrap().expose(), key);
    assert_eq!(
        exposed(&settings.gateway_credentials().unwrap()),
        ("my-account.1", key)
    );
    assert!(settings.check().is_empty());
}

#[test]
fn a_signature_takes_the_place_of_the_key_of_the_account() {
    let sas = "lifeboat: {gateway: {azure: {sasToken: 'sv=1&sig=x'}}}";
    let settings = from(&format!(
        "{sas}\nminio: {{accessKey: backups, secretKey: forclients, azuregateway: {{enabled: true}}}}"
    ));
    let Storage::Azure(azure) = &settings.storage else {
        panic!("{:?}", settings.storage);
    };
    assert_eq!(azure.account.as_ref().unwrap().expose(), "backups");
    assert_eq!(azure.key, None);
    assert_eq!(azure.sas.as_ref().unwrap().expose(), "sv=1&sig=x");
    assert_snapshot!(
        errors(&format!(
            "{sas}\nbackup: {{storage: {{backend: {{azure: {{enabled: true, accountName: backups, accountKey: c2VjcmV0}}}}}}}}"
        )),
        @"values.yaml:1:40: `lifeboat.gateway.azure.sasToken` is set, and `backup.storage.backend.azure.accountKey` too: keep one of them"
    );
}

#[test]
fn a_check_tells_what_an_installation_would_refuse() {
    assert!(from("").check().is_empty());
    let told: Vec<_> = from("backup: {enabled: true}")
        .check()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_snapshot!(told.join("\n"), @"
    the storage of the backups is not set: set `minio.persistence.enabled`, `minio.s3gateway.enabled` or `minio.azuregateway.enabled` to true
    the access key of the gateway is not set: set `minio.accessKey` in the values or LIFEBOAT_ACCESS_KEY in the environment
    ");
}

#[test]
fn debug_output_holds_no_secret() {
    let values = "minio: {accessKey: hunter2a, secretKey: hunter2b, s3gateway: {enabled: true, accessKey: hunter2c, secretKey: hunter2d}}";
    let environment = [
        ("AWS_ACCESS_KEY_ID", "hunter2e"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2f"),
        ("LIFEBOAT_SECRET_KEY", "hunter2g"),
    ];
    let settings = from_all(&[values], &[], &environment).unwrap();
    let text = format!("{settings:?}");
    assert!(!text.contains("hunter2"), "{text}");
}
