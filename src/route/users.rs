//! How many WebSockets each user has open.

use std::collections::HashMap;
use std::sync::Arc;

use crate::sync::Mutex;

/// Counts the WebSockets of users.
#[derive(Debug, Default)]
pub(crate) struct Users {
    /// Only who has one is there.
    open: Mutex<HashMap<Arc<str>, usize>>,
}

impl Users {
    /// Takes a place for one more WebSocket of a user, if the user has fewer than `limit`.
    pub(crate) fn seat(self: &Arc<Self>, name: &str, limit: usize) -> Option<UserSeat> {
        let mut open = self.open.lock();
        let name = match open.get_key_value(name) {
            Some((_, count)) if *count >= limit => return None,
            None if limit == 0 => return None,
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        *open.entry(Arc::clone(&name)).or_insert(0) += 1;
        Some(UserSeat { users: Arc::clone(self), name })
    }
}

/// The place of one WebSocket; free again when dropped, whatever ended it.
#[derive(Debug)]
pub(crate) struct UserSeat {
    users: Arc<Users>,
    name: Arc<str>,
}

impl UserSeat {
    /// Whose it is.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for UserSeat {
    fn drop(&mut self) {
        let mut open = self.users.open.lock();
        if let Some(count) = open.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_so_many_and_nothing_is_left_behind() {
        let users = Arc::new(Users::default());
        let anna = [users.seat("anna", 2), users.seat("anna", 2)];
        assert!(anna.iter().all(Option::is_some));
        assert!(users.seat("anna", 2).is_none());
        let bert = users.seat("bert", 1).unwrap();
        assert_eq!((bert.name(), users.seat("bert", 0).is_some()), ("bert", false));
        assert!(users.seat("cleo", 0).is_none());
        drop(anna);
        assert!(users.seat("anna", 1).is_some());
        drop(bert);
        assert!(users.open.lock().is_empty());
    }
}
