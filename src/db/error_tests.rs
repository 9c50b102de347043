//! Tests of `error.rs`.

use super::*;

fn statement(kind: DatabaseErrorKind, message: &str) -> Error {
    Error::Statement(DieselError::DatabaseError(kind, Box::new(message.to_owned())))
}

#[test]
fn behind_a_pooler_the_setting_is_named() {
    let failed = |message| statement(DatabaseErrorKind::Unknown, message).to_string();
    let advised = failed("prepared statement \"__diesel_stmt_3\" does not exist");
    assert!(advised.contains("database.prepared_statements must be false"), "{advised}");
    assert_eq!(failed("relation \"a\" does not exist"), "database: relation \"a\" does not exist");
}

#[test]
fn a_connection_that_has_ended_is_told_from_a_statement_that_failed() {
    for message in [
        "terminating connection due to administrator command",
        "terminating connection due to idle-session timeout",
        "terminating connection because of crash of another server process",
        "the database system is shutting down",
        "server closed the connection unexpectedly",
        "could not receive data from server: Connection timed out",
        "SSL connection has been closed unexpectedly",
        "Server has gone away",
        "MySQL server has gone away",
        "Lost connection to server during query",
        "Lost connection to server at 'handshake: reading initial communication packet', system error: 104",
        "Connection was killed",
        "Server shutdown in progress",
        "Commands out of sync; you can't run this command now",
        "Got timeout reading communication packets",
        "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.",
        "WSREP has not yet prepared node for application use",
        "The MariaDB server is running with the --read-only option so it cannot execute this statement",
    ] {
        let error = statement(DatabaseErrorKind::Unknown, message);
        assert!(error.is_gone() && error.is_unavailable() && !error.is_retryable(), "{message}");
    }
    let refused = |kind, message| statement(kind, message).is_of_read_only_server();
    let read_only =
        "The MariaDB server is running with the --read-only option so it cannot execute this statement";
    assert!(refused(DatabaseErrorKind::Unknown, read_only));
    assert!(refused(DatabaseErrorKind::ReadOnlyTransaction, "cannot execute UPDATE"));
    assert!(!refused(DatabaseErrorKind::Unknown, "WSREP has not yet prepared node for application use"));
    // A Galera cluster has ended the transaction, and the server takes writes.
    let stray = "Cannot execute statement in a READ ONLY transaction.";
    assert!(!refused(DatabaseErrorKind::ReadOnlyTransaction, stray));
    let stray = statement(DatabaseErrorKind::ReadOnlyTransaction, stray);
    assert!(stray.is_retryable() && stray.is_undone() && !stray.is_gone());
    for kind in [DatabaseErrorKind::ClosedConnection, DatabaseErrorKind::UnableToSendCommand] {
        assert!(statement(kind, "").is_gone());
    }
    for message in [
        "canceling statement due to statement timeout",
        "Query execution was interrupted (max_statement_time exceeded)",
    ] {
        let error = statement(DatabaseErrorKind::Unknown, message);
        assert!(!error.is_gone() && error.is_unavailable(), "{message}");
    }
    for message in ["relation \"allocations\" does not exist", "Unknown column 'x' in 'SELECT'"] {
        let error = statement(DatabaseErrorKind::Unknown, message);
        assert!(!error.is_gone() && !error.is_unavailable(), "{message}");
    }
}

#[test]
fn conflicts_on_galera_run_again() {
    for message in [
        "Deadlock found when trying to get lock; try restarting transaction",
        "WSREP detected deadlock/conflict and aborted the transaction. Try restarting the transaction",
    ] {
        let error = statement(DatabaseErrorKind::Unknown, message);
        assert!(error.is_retryable() && error.is_undone() && !error.is_gone() && !error.is_unavailable());
    }
    let error = DieselError::DatabaseError(
        DatabaseErrorKind::UniqueViolation,
        Box::new("Duplicate entry '20261123000000' for key 'PRIMARY'".to_owned()),
    );
    assert!(Error::Migration { name: "placement", error }.is_retryable());
    // A statement has waited in vain for the writes of other nodes.
    let error =
        statement(DatabaseErrorKind::Unknown, "Lock wait timeout exceeded; try restarting transaction");
    assert!(!error.is_retryable() && error.is_wait_over() && error.is_unavailable());
}

#[test]
fn the_outcome_of_a_commit_is_known_after_few_errors_only() {
    let database =
        |message: &str| DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
    let not_ready = "WSREP has not yet prepared node for application use";
    let and_no_rollback = |message| {
        let (commit_error, rollback_error) = (Box::new(database(message)), Box::new(database(not_ready)));
        DieselError::RollbackErrorOnCommit { rollback_error, commit_error }
    };
    for message in [
        not_ready,
        "Deadlock found when trying to get lock; try restarting transaction",
        "The MariaDB server is running with the --read-only option so it cannot execute this statement",
    ] {
        assert!(Error::Statement(database(message)).is_undone(), "{message}");
        let both = Error::Statement(and_no_rollback(message));
        assert!(both.is_undone() && both.is_gone() && !both.is_retryable(), "{message}");
    }
    for message in [
        "Error while appending streaming replication fragment(provider status: Not connected to Primary Component)",
        "Got error 6 \"No such device or address\" during COMMIT",
        "Lost connection to server during query",
    ] {
        for error in [database(message), and_no_rollback(message)].map(Error::Statement) {
            assert!(!error.is_undone() && error.is_gone() && error.is_unavailable(), "{message}");
        }
    }
    assert!(!Error::Statement(database("Query execution was interrupted")).is_undone());
}

#[test]
fn texts_that_tables_cannot_hold_are_told_from_columns_that_do_not_compare() {
    let is_text = |message| statement(DatabaseErrorKind::Unknown, message).is_unstorable_text();
    for message in [
        "Illegal mix of collations (utf8mb3_general_ci,IMPLICIT) and (utf8mb4_general_ci,COERCIBLE) for operation '='",
        "Illegal mix of collations (latin1_swedish_ci,IMPLICIT), (utf8mb4_general_ci,COERCIBLE), (utf8mb4_general_ci,COERCIBLE) for operation 'in'",
        "Illegal mix of collations for operation 'in'",
        "Incorrect string value: '\\xF0\\x9F\\x98\\x80' for column `placement`.`projects`.`external_id` at row 1",
        "Conversion from collation utf8mb4_0900_ai_ci into latin1_swedish_ci impossible for parameter",
        "character with byte sequence 0xe2 0x98 0x83 in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
    ] {
        assert!(is_text(message), "{message}");
    }
    for message in [
        "Illegal mix of collations (utf8mb4_general_ci,IMPLICIT) and (utf8mb4_unicode_ci,IMPLICIT) for operation '='",
        "Incorrect integer value: 'x' for column `placement`.`inventories`.`total` at row 1",
        "Data too long for column 'name' at row 1",
    ] {
        assert!(!is_text(message), "{message}");
    }
}

#[test]
fn a_commit_on_a_connection_that_ends_is_gone() {
    let gone =
        || Box::new(DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(String::new())));
    let both = DieselError::RollbackErrorOnCommit { rollback_error: gone(), commit_error: gone() };
    assert!(Error::Statement(both).is_gone());
}
