//! What to do next after an error of a backup or restore of metrics.

use std::io::ErrorKind;

use lifeboat_victoria_metrics::error::Error as Metrics;

pub(super) fn hint(error: &Metrics) -> Option<String> {
    match error {
        Metrics::Unreachable { instance, .. } => Some(format!(
            "is the server running? `lifeboat.{instance}.url` says where it is"
        )),
        Metrics::Redirected { instance, .. } => Some(format!(
            "`lifeboat.{instance}.url` has to say where the server itself is, with its path prefix: nobody is followed elsewhere"
        )),
        Metrics::Unauthorized { instance, .. } => Some(format!(
            "the keys are `lifeboat.{instance}.user` and `.password`, `.snapshotAuthKey` and `.metricsAuthKey`"
        )),
        Metrics::Agent { .. } => Some(
            "`lifeboat.victoriaMetrics.vmagent` says where it is; empty, nobody is asked".to_owned(),
        ),
        Metrics::NotDrained { .. } => Some(
            "the old data is still there; the log of vmagent says what keeps it from sending".to_owned(),
        ),
        Metrics::Refused { .. } => Some("nothing was changed; the log of the server says more".to_owned()),
        Metrics::ReadOnly { .. } => Some(
            "nothing was changed; its volume has no more room than `-storage.minFreeDiskSpaceBytes`: with room it can be backed up"
                .to_owned(),
        ),
        Metrics::Snapshot { .. } | Metrics::EmptySnapshot { .. } => Some(
            "the whole data folder of the server that `url` names has to be mounted where the backup runs, at `path`, not its snapshots alone; the backup before is still the one that counts"
                .to_owned(),
        ),
        Metrics::BrokenSnapshot { .. } | Metrics::FewSamples { .. } => {
            Some("the backup before is still the one that counts; run the same command again".to_owned())
        }
        Metrics::Shrunk { .. } => Some(
            "nothing was changed; if the data was deleted on purpose, `--allow-shrinking` replaces the backup".to_owned(),
        ),
        Metrics::Young { instance, .. } => Some(format!(
            "nothing was changed; `{instance}.backup.minHistorySeconds` is how far it has to go back"
        )),
        Metrics::SomethingElse { .. } => {
            Some("nothing was changed; give the metrics a bucket or a prefix of their own".to_owned())
        }
        Metrics::Held { until, .. } => Some(format!(
            "wait until it has ended; if it was killed, its lease ends at {until:.0}"
        )),
        Metrics::LeaseLost => Some("if another run writes, what it writes counts; run the same command again".to_owned()),
        Metrics::UnknownVersion { nearest, .. } if nearest.is_empty() => {
            Some("the bucket holds no backups of it yet".to_owned())
        }
        Metrics::UnknownVersion { nearest, .. } => Some(format!("the nearest names are `{}`", nearest.join("`, `"))),
        Metrics::Incomplete { .. } => {
            Some("`lifeboat victoria-metrics list` shows those that are complete".to_owned())
        }
        Metrics::Damaged { version, .. } => Some(format!(
            "`lifeboat victoria-metrics verify` tells all that is wrong with `{version}`"
        )),
        Metrics::TooOld { .. } => Some(
            "nothing was changed; start a newer server, or tell its version with `--server-version`".to_owned(),
        ),
        _ => of_data(error),
    }
}

/// Of the data folder: a restore, its confirmation and the way back.
fn of_data(error: &Metrics) -> Option<String> {
    match error {
        Metrics::InUse { .. } => Some(
            "nothing was changed; stop the server first (`restore --final-backup` backs it up once more, and waits for its stop)"
                .to_owned(),
        ),
        Metrics::Unconfirmed { .. } => Some(
            "nothing was changed; `confirm` keeps the data as it is now and gives up what was there before that restore, `undo` brings that back and gives up the data as it is now"
                .to_owned(),
        ),
        Metrics::Target { source, .. } => match source.kind() {
            ErrorKind::ReadOnlyFilesystem => {
                Some("nothing was changed; its volume has to be mounted so that it can be written to".to_owned())
            }
            ErrorKind::PermissionDenied => {
                Some("nothing was changed; restore as the user of the server, or as root".to_owned())
            }
            _ => None,
        },
        Metrics::Busy { .. } => Some("nothing was changed; wait until it has ended".to_owned()),
        Metrics::NotRestored { found: 0, .. } => Some(
            "nothing was removed; `undo` brings back what was there before the restore".to_owned(),
        ),
        Metrics::NotRestored { .. } => Some(
            "nothing was removed; samples older than its retention are dropped by the server, which `--accept-fewer` allows for"
                .to_owned(),
        ),
        Metrics::NotFound { .. } => Some(
            "nothing was removed; a server that is older than the one that wrote the backup cannot read its index: start a newer one, or `undo`; where all of the backup is older than the server's retention, `--accept-fewer` allows for that"
                .to_owned(),
        ),
        Metrics::CannotRead { .. } => {
            Some("nothing was removed; start a newer server, or `undo`".to_owned())
        }
        Metrics::NotOpened { instance, .. } => Some(format!(
            "nothing was removed; start the server of this folder; `lifeboat.{instance}.url` and `.path` have to be those of one and the same server"
        )),
        Metrics::Changed { .. } => Some(
            "nothing was removed; when the server runs on what was restored, run `confirm` again".to_owned(),
        ),
        Metrics::OtherServer { instance, .. } => Some(format!(
            "nothing was removed; correct `lifeboat.{instance}.url` or `.path`: they have to be those of one and the same server"
        )),
        _ => None,
    }
}
