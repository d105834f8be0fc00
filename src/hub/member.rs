//! One connection's place in one group.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::conn::groups::Join;
use crate::conn::recipient::Recipient;
use crate::deadline::Deadline;
use crate::sync::atomic::{AtomicBool, Ordering};

/// What a group knows of a member.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) recipient: Recipient,
    pub(crate) join: Join,
    /// False from the moment the membership ends: what is still on its way passes it by. Shared
    /// with what takes its place when the connection joins again.
    is_live: Arc<AtomicBool>,
}

impl Membership {
    pub(crate) fn new(recipient: Recipient, join: Join) -> Arc<Self> {
        Arc::new(Self { recipient, join, is_live: Arc::new(AtomicBool::new(true)) })
    }

    /// The same membership with other words; what is on its way to this one still comes.
    pub(crate) fn renewed(&self, join: Join) -> Arc<Self> {
        let (recipient, is_live) = (self.recipient.clone(), Arc::clone(&self.is_live));
        Arc::new(Self { recipient, join, is_live })
    }

    pub(crate) fn is_live(&self) -> bool {
        self.is_live.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.is_live.store(false, Ordering::Release);
    }

    /// Waits until it has room for more; false if the deadline passed before that.
    pub(crate) fn wait_for_room(&self, deadline: Deadline) -> bool {
        if self.join.is_inbox {
            self.recipient.wait_for_handler(deadline)
        } else {
            self.recipient.wait_for_room(deadline)
        }
    }

    /// Closes a member that had its time; false if it was closing already.
    pub(crate) fn give_up(&self) -> bool {
        if self.join.is_inbox {
            self.recipient.give_up_busy()
        } else {
            self.recipient.give_up_slow()
        }
    }
}

/// A member of a group, as it was when it was asked for; cheap to clone.
#[derive(Clone)]
pub struct Member {
    membership: Arc<Membership>,
}

impl Member {
    pub(crate) fn new(membership: &Arc<Membership>) -> Self {
        Self { membership: Arc::clone(membership) }
    }

    /// The number of the connection, for [`Hub::send_to`](crate::Hub::send_to) and
    /// [`Group::send_except`](crate::Group::send_except).
    pub fn conn_id(&self) -> u64 {
        self.membership.recipient.id()
    }

    /// The user's name that it joined with.
    pub fn user(&self) -> Option<&str> {
        self.membership.join.user.as_deref()
    }

    /// What it joined with; `Value::Null` if nothing.
    pub fn metadata(&self) -> &Value {
        &self.membership.join.metadata
    }

    /// Messages of all its groups that this connection lost so far.
    ///
    /// # Blocking
    /// Never.
    pub fn lost(&self) -> u64 {
        self.membership.recipient.lost()
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Member");
        shown.field("conn_id", &self.conn_id()).field("user", &self.user()).finish_non_exhaustive()
    }
}
