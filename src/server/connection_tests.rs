//! Tests of connections without a network. The tests use a simulated clock.

use std::future::pending;

use tokio::io::{DuplexStream, duplex, split};
use tokio::time::sleep;

use super::*;

const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    next: Duration::from_secs(75),
    answer: Duration::from_secs(30),
};

fn pair() -> (Connection<DuplexStream>, DuplexStream) {
    let (ours, theirs) = duplex(256);
    (Connection::new(ours, PATIENCE), theirs)
}

fn test(work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // The simulated clock advances to the next deadline whenever no task can run.
    runtime.enable_time().start_paused(true).build().unwrap().block_on(work);
}

/// Returns the number of seconds after which a connection ends, while the HTTP layer runs `layer`.
async fn ends(connection: &Connection<DuplexStream>, layer: impl Future<Output = ()>) -> u64 {
    let begun = Instant::now();
    let layer = Box::pin(async move {
        layer.await;
        Ok(())
    });
    connection.clone().serve(layer, pending::<()>(), |_| {}).await;
    begun.elapsed().as_secs()
}

async fn read_on(mut connection: Connection<DuplexStream>) {
    let mut byte = [0];
    while connection.read_exact(&mut byte).await.is_ok() {}
}

#[test]
fn a_head_that_dribbles_ends_in_time_and_is_told() {
    test(async {
        let (connection, theirs) = pair();
        let (mut theirs, mut to_us) = split(theirs);
        let dribble = async {
            while to_us.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
            pending::<()>().await;
        };
        let mut told = [0; TOO_LATE.len()];
        let seconds = tokio::select! {
            seconds = ends(&connection, read_on(connection.clone())) => seconds,
            () = dribble => unreachable!(),
        };
        // The client has 10 seconds for its head. The service then reads for 1 more second ([`LINGER`]).
        assert_eq!(seconds, 11);
        theirs.read_exact(&mut told).await.unwrap();
        assert_eq!(told, TOO_LATE);
    });
}

#[test]
fn who_sends_nothing_is_told_nothing() {
    test(async {
        let (connection, mut theirs) = pair();
        assert_eq!(ends(&connection, read_on(connection.clone())).await, 10);
        drop(connection);
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn work_has_no_limit_but_idleness_and_the_next_head_have() {
    test(async {
        let (connection, mut theirs) = pair();
        theirs.write_all(b"GET").await.unwrap();
        let mut own = connection.clone();
        let layer = async move {
            own.read_exact(&mut [0; 3]).await.unwrap();
            own.watch().begin();
            sleep(Duration::from_secs(3_600)).await;
            own.watch().answered();
            own.flush().await.unwrap();
            read_on(own).await;
        };
        let next = async {
            sleep(Duration::from_secs(3_600 + 74)).await;
            theirs.write_all(b"G").await.unwrap();
            pending::<()>().await;
        };
        let seconds = tokio::select! { seconds = ends(&connection, layer) => seconds, () = next => 0 };
        assert_eq!(seconds, 3_600 + 74 + 10 + 1);
    });
}

#[test]
fn an_idle_connection_ends() {
    test(async {
        let (connection, mut theirs) = pair();
        let mut own = connection.clone();
        let layer = async move {
            own.watch().begin();
            own.write_all(b"answer").await.unwrap();
            own.watch().answered();
            own.flush().await.unwrap();
            read_on(own).await;
        };
        assert_eq!(ends(&connection, layer).await, 75);
        theirs.read_exact(&mut [0; 6]).await.unwrap();
    });
}

#[test]
fn an_answer_that_nobody_reads_ends_in_time() {
    test(async {
        let (connection, mut theirs) = pair();
        let mut own = connection.clone();
        let layer = async move {
            own.watch().begin();
            let _ = own.write_all(&[0; 1_000]).await;
        };
        let read = async {
            // The client reads slowly, but each pause is shorter than the limit. So the connection stays open.
            for _ in 0..10 {
                sleep(Duration::from_secs(20)).await;
                theirs.read_exact(&mut [0]).await.unwrap();
            }
            pending::<()>().await;
        };
        let seconds = tokio::select! { seconds = ends(&connection, layer) => seconds, () = read => 0 };
        assert_eq!(seconds, 230);
    });
}

#[test]
fn a_hang_up_ends_the_work_whatever_was_sent_before() {
    test(async {
        let (connection, mut theirs) = pair();
        theirs.write_all(b"GET").await.unwrap();
        let mut own = connection.clone();
        let layer = async move {
            own.read_exact(&mut [0; 3]).await.unwrap();
            own.watch().begin();
            // The HTTP layer does not read the bytes that arrive from now on.
            pending::<()>().await;
        };
        let hang_up = async {
            sleep(Duration::from_secs(5)).await;
            theirs.write_all(b"GET").await.unwrap();
            sleep(Duration::from_secs(5)).await;
            drop(theirs);
            pending::<()>().await;
        };
        let seconds = tokio::select! { seconds = ends(&connection, layer) => seconds, () = hang_up => 0 };
        assert_eq!(seconds, 10);
    });
}

#[test]
fn what_was_read_ahead_is_read_first() {
    test(async {
        let (connection, mut theirs) = pair();
        let mut own = connection.clone();
        let layer = async move {
            own.watch().begin();
            sleep(Duration::from_secs(5)).await;
            let mut all = [0; 6];
            own.read_exact(&mut all).await.unwrap();
            assert_eq!(&all, b"onetwo");
        };
        let send = async {
            theirs.write_all(b"one").await.unwrap();
            sleep(Duration::from_secs(9)).await;
            theirs.write_all(b"two").await.unwrap();
            pending::<()>().await;
        };
        let seconds = tokio::select! { seconds = ends(&connection, layer) => seconds, () = send => 0 };
        assert_eq!(seconds, 9);
    });
}
