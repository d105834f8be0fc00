//! What the keeper does for those who hold replies back, round by round.

use super::*;
use crate::conn::hold::tests::{answer, answers, open};

fn work(shared: &Arc<Shared>) -> (Work, Arc<Mail>) {
    let mail = Arc::new(Mail::new());
    (Work::new(Arc::clone(shared), Arc::clone(&mail)), mail)
}

#[test]
fn who_arrives_and_holds_between_two_looks_at_the_mail_is_not_forgotten() {
    let (ws, peer) = open(3);
    let (mut work, mail) = work(&ws.conn.shared);
    work.welcome();
    mail.arrivals.lock().push(Arc::clone(&ws.conn));
    answer(&ws, 2);
    work.look_at_holders();
    assert_eq!(peer.record(), None);
    work.look_at_holders();
    assert_eq!(peer.records(), [answers(2).concat()]);
}
