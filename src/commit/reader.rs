//! One reading of commits for the follower (the picture of all providers): the commits of this process, and those of
//! other replicas.

use std::cell::RefCell;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::commit::books::Books;
use crate::commit::follower::{Follower, ListenerSlot};
use crate::commit::transaction::{begin_snapshot, end_snapshot};
use crate::db::{DbConnection, Error};
use crate::feed::Touched;
use crate::feed::{Feed, News};

/// The largest number of attempts to read with a single query. An attempt fails if the query may have seen a part of
/// a transaction.
const TRIES: u32 = 3;

/// One reading of announced parts and of the change feed.
pub(super) struct Reader<'a> {
    pub(super) books: &'a Mutex<Books>,
    pub(super) listener: &'a ListenerSlot,
    pub(super) follower: &'a dyn Follower,
    /// None if the feed is not to be read.
    pub(super) feed: Option<&'a Arc<Feed>>,
}

impl Reader<'_> {
    /// Makes the follower read the touched parts. If the follower would see only a part of a transaction, the other
    /// parts of the transaction are added to `touched`. Returns true if the follower has seen all parts. Returns
    /// false if one query is not enough and `more` is false.
    ///
    /// `left` is the number of commits that were left to the searches before `touched` was made. The follower never sees
    /// a commit without the commits of this process that were answered before it.
    pub(super) fn read_back(
        &self,
        conn: &mut DbConnection,
        touched: &mut Touched,
        mut left: u64,
        more: bool,
    ) -> Result<bool, Error> {
        for _ in 0..TRIES {
            if !touched.is_one_question() {
                break;
            }
            let news = RefCell::new(News::default());
            // Most commits are claims, which one query can read. After the query, this check finds transactions of
            // which the query may have seen only a part. The books name such transactions of this process, and the
            // news of the change feed are the transactions of other replicas.
            let is_whole = |conn: &mut DbConnection| {
                news.replace(self.news(conn)?);
                Ok(!self.books.lock().splits(touched, left) && news.borrow().is_empty())
            };
            let is_seen = match touched.is_empty() {
                true => is_whole(conn)?,
                false => self.follower.follow(conn, touched, &is_whole)?,
            };
            let news = news.into_inner();
            if is_seen {
                self.advance(&news);
                return Ok(true);
            }
            if !news.is_empty() {
                break;
            }
            left = self.books.lock().widen(touched, left);
        }
        if !more {
            return Ok(false);
        }
        begin_snapshot(conn)?;
        let news = self.news(conn)?;
        touched.merge(news.touched.clone());
        // The snapshot began earlier than this moment. So the books name each transaction of this process in the
        // snapshot.
        self.books.lock().widen(touched, left);
        let is_seen = touched.is_empty() || self.follower.follow(conn, touched, &|_| Ok(true))?;
        end_snapshot(conn)?;
        if is_seen {
            self.advance(&news);
        }
        Ok(is_seen)
    }

    fn news(&self, conn: &mut DbConnection) -> Result<News, Error> {
        self.feed.map_or_else(|| Ok(News::default()), |feed| feed.news(conn))
    }

    /// Records that the follower has seen changes by other replicas, and tells the waiting requests.
    fn advance(&self, news: &News) {
        if let Some(feed) = self.feed {
            feed.advance(news);
            self.listener.tell_elsewhere(&news.waitlist);
        }
    }
}
