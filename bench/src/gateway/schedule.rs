//! In which order everything is measured.
//!
//! What is compared lies close together in time, since a machine is not the same a quarter of an hour later; and the
//! order of the servers changes from round to round, since who comes first may find other caches than who comes last.

use super::contender::Contender;
use super::ground::Ground;
use super::task::Group;

/// One life of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) round: u32,
    pub(crate) group: Group,
    pub(crate) ground: Ground,
    pub(crate) contender: Contender,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) rounds: u32,
    pub(crate) groups: Vec<Group>,
    pub(crate) grounds: Vec<Ground>,
    pub(crate) contenders: Vec<Contender>,
}

/// Returns all sessions, in order.
pub(crate) fn sessions(wanted: &Wanted) -> Vec<Session> {
    let mut sessions = Vec::new();
    for round in 0..wanted.rounds {
        for &group in wanted.groups.iter().filter(|group| group.is_in(round)) {
            for &ground in wanted.grounds.iter().filter(|ground| group.is_on(**ground)) {
                let here = wanted
                    .contenders
                    .iter()
                    .copied()
                    .filter(|contender| group.is_for(*contender))
                    .filter(|contender| ground != Ground::Synchronous || !contender.syncs())
                    .collect();
                sessions.extend(order(here, round).into_iter().map(|contender| Session {
                    round,
                    group,
                    ground,
                    contender,
                }));
            }
        }
    }
    sessions
}

/// Every other round goes backwards, and every second one begins with the next.
fn order(mut contenders: Vec<Contender>, round: u32) -> Vec<Contender> {
    if let Some(first) = (round as usize / 2).checked_rem(contenders.len()) {
        contenders.rotate_left(first);
    }
    if round % 2 == 1 {
        contenders.reverse();
    }
    contenders
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_order_changes_and_nobody_is_made_to_sync_twice() {
        let sessions = sessions(&Wanted {
            rounds: 3,
            groups: vec![Group::Small, Group::Container, Group::Prefix],
            grounds: Ground::ALL.to_vec(),
            contenders: vec![
                Contender::Lifeboat,
                Contender::S3proxy,
                Contender::Versitygw,
            ],
        });
        let lines: Vec<String> = sessions
            .chunk_by(|a, b| (a.round, a.group, a.ground) == (b.round, b.group, b.ground))
            .map(|chunk| {
                let names: Vec<String> = chunk
                    .iter()
                    .map(|session| session.contender.to_string())
                    .collect();
                let first = chunk[0];
                let group = first.group.to_possible_value().unwrap();
                let (round, ground) = (first.round, first.ground);
                format!(
                    "{round} {} {ground}: {}",
                    group.get_name(),
                    names.join(", ")
                )
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        0 small memory: Lifeboat, s3proxy 4.0, versitygw 1.8
        0 small disk: Lifeboat, s3proxy 4.0, versitygw 1.8
        0 small synchronous: s3proxy 4.0, versitygw 1.8
        0 container disk: Lifeboat, s3proxy 4.0
        0 container synchronous: s3proxy 4.0
        0 prefix disk: Lifeboat, s3proxy 4.0, versitygw 1.8
        1 small memory: versitygw 1.8, s3proxy 4.0, Lifeboat
        1 small disk: versitygw 1.8, s3proxy 4.0, Lifeboat
        1 small synchronous: versitygw 1.8, s3proxy 4.0
        1 container disk: s3proxy 4.0, Lifeboat
        1 container synchronous: s3proxy 4.0
        2 small memory: s3proxy 4.0, versitygw 1.8, Lifeboat
        2 small disk: s3proxy 4.0, versitygw 1.8, Lifeboat
        2 small synchronous: versitygw 1.8, s3proxy 4.0
        2 container disk: s3proxy 4.0, Lifeboat
        2 container synchronous: s3proxy 4.0
        ");
    }
}
