//! The rule of capacity in Rust against the same rule in SQL, on random inventories.

use allotment::claims::alone::{self, NewClaim};
use allotment::commit::{Db, Number};
use allotment::migrations;
use allotment::store::inventories::Amounts;
use allotment::store::now;
use diesel::connection::SimpleConnection;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::support::{Backend, Database, rng, seed, settings};

/// How many claims are compared.
const CASES: usize = 3_000;

/// The provider, the consumer, and the user and project of both.
const NAME: &str = "6d1a9d0c-8a1e-4a4b-9d26-5f5d33e5ff11";

/// An inventory of VCPU, its use in pieces, and the amount of a claim on it.
#[derive(Debug)]
struct Case {
    amounts: Amounts,
    used: Vec<i32>,
    amount: i32,
}

#[test]
fn the_rules_in_rust_and_in_sql_agree() {
    let database = Database::create(Backend::Postgres);
    let db = Db::open(&settings(&database).database).unwrap();
    migrations::migrate(&db).unwrap();
    database.execute(&format!(
        "INSERT INTO resource_providers (id, uuid, name, generation, root_provider_id) VALUES (1, '{NAME}', 'p', 0, 1);
         INSERT INTO projects (external_id) VALUES ('{NAME}');
         INSERT INTO users (external_id) VALUES ('{NAME}')"
    ));
    let mut random = rng(seed(), 0);
    let cases: Vec<Case> = (0..CASES).map(|_| case(&mut random)).collect();
    let by_sql = db.without_limits(|tx| {
        let mut fits = Vec::new();
        for case in &cases {
            tx.conn().batch_execute(&format!("BEGIN; {}", rows(case)))?;
            let claim = NewClaim {
                consumer_uuid: NAME,
                project_id: NAME,
                user_id: NAME,
                consumer_type: None,
                provider_uuid: NAME,
                resources: &[("VCPU", case.amount)],
                now: now(),
            };
            tx.set_entry(Some(Number { replica: 1, number: 1 }));
            fits.push(alone::insert(tx, &claim)?);
            tx.conn().batch_execute("ROLLBACK")?;
        }
        Ok(fits)
    });
    let by_sql = by_sql.unwrap();
    for (case, fits) in cases.iter().zip(&by_sql) {
        let used = case.used.iter().map(|used| i64::from(*used)).sum();
        let by_rust = case.amounts.check_claim(used, case.amount.into(), None);
        assert_eq!(by_rust.is_ok(), *fits, "{case:?}: {by_rust:?}");
    }
    // Both answers are frequent, so that neither rule is right by always saying the same.
    let fitting = by_sql.iter().filter(|fits| **fits).count();
    assert!((CASES / 20..CASES / 20 * 19).contains(&fitting), "{fitting} of {CASES} claims fit");
}

/// The statements that store a case.
fn rows(Case { amounts: a, used, .. }: &Case) -> String {
    let used: Vec<String> = used
        .iter()
        .map(|used| {
            format!(
                "INSERT INTO allocations (resource_provider_id, consumer_id, resource_class_id, used) \
                 VALUES (1, 'another', 0, {used});"
            )
        })
        .collect();
    format!(
        "INSERT INTO inventories (resource_provider_id, resource_class_id, total, reserved, min_unit, max_unit, \
         step_size, allocation_ratio) VALUES (1, 0, {}, {}, {}, {}, {}, {:?}); {}",
        a.total,
        a.reserved,
        a.min_unit,
        a.max_unit,
        a.step_size,
        a.allocation_ratio,
        used.concat()
    )
}

fn case(random: &mut StdRng) -> Case {
    let max_unit = if random.random_bool(0.5) { i32::MAX } else { number(random) };
    let ratios = [0.0, 0.1, 0.5, 1.0, 1.1, 1.5, 3.3, 16.0, f64::from(f32::MAX)];
    let ratio = if random.random_bool(0.8) { pick(random, &ratios) } else { random.random_range(0.0..20.0) };
    let amounts = Amounts {
        total: number(random),
        reserved: if random.random_bool(0.5) { 0 } else { number(random) },
        min_unit: if random.random_bool(0.5) { 1 } else { number(random) },
        max_unit,
        // 0 is a step that another server may have stored.
        step_size: pick(random, &[0, 1, 1, 1, 2, 3, 8, 512, i32::MAX]),
        allocation_ratio: ratio,
    };
    let used: Vec<i32> = (0..random.random_range(0..4)).map(|_| number(random)).collect();
    let amount = amount(random, &amounts, used.iter().map(|used| i64::from(*used)).sum());
    Case { amounts, used, amount }
}

/// An amount that a client can ask for, most often at one of the edges of the rule.
fn amount(random: &mut StdRng, amounts: &Amounts, used: i64) -> i32 {
    let step = i64::from(amounts.step_size.max(1));
    #[expect(clippy::cast_possible_truncation, reason = "a ratio too large for an i64 has no edge")]
    let room = amounts.capacity() as i64;
    let edges = [
        i64::from(amounts.min_unit),
        i64::from(amounts.max_unit),
        room.saturating_sub(used),
        room.saturating_sub(used) / step * step,
        step * random.random_range(1..5),
        number(random).into(),
    ];
    let amount = pick(random, &edges).saturating_add(pick(random, &[-1, 0, 0, 0, 1]));
    i32::try_from(amount.clamp(1, i32::MAX.into())).unwrap()
}

/// A number from 0 to the largest, most often a small one.
fn number(random: &mut StdRng) -> i32 {
    match random.random_range(0..10) {
        0 => pick(random, &[0, 1, i32::MAX - 1, i32::MAX]),
        1 => random.random_range(0..i32::MAX),
        2..5 => random.random_range(0..5_000),
        _ => random.random_range(0..30),
    }
}

fn pick<T: Copy>(random: &mut StdRng, from: &[T]) -> T {
    *from.choose(random).unwrap()
}
