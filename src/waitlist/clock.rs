//! The clock that decides when tickets expire.
//!
//! When the service starts, it reads the time of the database, which all replicas share. From then on the
//! service adds the time that passes on its host, including the time that the host is suspended. So a change
//! of the host's wall clock has no effect. Later the service's clock may differ from the database's clock,
//! because one of the two clocks runs fast or was set. Then the service's clock slowly approaches the
//! database's clock.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use parking_lot::Mutex;

use crate::clock::up;
use crate::store;

/// A source of the present time, by which tickets expire.
pub trait Clock: Send + Sync {
    /// Returns the present time in UTC, in whole microseconds, since every database can store microseconds.
    fn now(&self) -> NaiveDateTime;
}

/// The host's wall clock, which may jump when somebody sets it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> NaiveDateTime {
        store::now()
    }
}

/// The service's clock runs faster by 1 part in 2,000 while it is behind the database's clock. So a lease may
/// be shorter by 1 part in 2,000. The clocks of two hosts may differ as much even without this correction.
const HASTENED: i32 = 2_000;
/// The service's clock runs slower by 1 part in 100 while it is ahead of the database's clock. So a lease may
/// be longer by 1 part in 100.
const SLOWED: i32 = 100;
/// If the two clocks differ by at least one day, the service's clock jumps to the database's time. Such a
/// large difference is no drift: one of the clocks was wrong.
const PLAINLY_WRONG: TimeDelta = TimeDelta::days(1);

/// The number of times that a starting clock asks for the database's time. A slow answer would make the clock wrong for
/// minutes, since the clock makes up for a difference slowly.
const QUESTIONS: u32 = 5;

/// The clock of the service: the database's time at the start, plus the time that has passed since the start.
#[derive(Debug)]
pub struct ServiceClock {
    state: Mutex<State>,
}

/// The time that the clock showed last, and the difference from the database's clock.
#[derive(Clone, Copy, Debug)]
struct State {
    /// The time since the host's boot, at the moment when the clock showed `time`.
    up: Duration,
    /// The time that the clock showed last.
    time: NaiveDateTime,
    /// The time by which this clock is behind the database's clock. A negative value means that this clock is
    /// ahead.
    behind: TimeDelta,
}

impl State {
    /// Returns the clock's state when the time `up` has passed since the host's boot.
    fn at(self, up: Duration) -> State {
        let passed = TimeDelta::from_std(up.saturating_sub(self.up)).unwrap_or_default();
        let made_up = self.behind.clamp(-(passed / SLOWED), passed / HASTENED);
        let time = self.time.checked_add_signed(passed + made_up).unwrap_or(self.time);
        State { up: up.max(self.up), time, behind: self.behind - made_up }
    }
}

impl ServiceClock {
    /// Makes a clock that starts with the time that `database` returns. `database` is called several times, and the
    /// quickest answer counts. The database's clock showed this time in the middle of the call, as far as anybody knows.
    pub fn start<E>(database: impl Fn() -> Result<NaiveDateTime, E>) -> Result<ServiceClock, E> {
        let ask = |_| {
            let asked = up();
            let time = database()?;
            let answered = up();
            let took = answered.saturating_sub(asked);
            let time = time + TimeDelta::from_std(took / 2).unwrap_or_default();
            Ok((took, State { up: answered, time, behind: TimeDelta::zero() }))
        };
        let mut quickest = ask(0)?;
        for answer in (1..QUESTIONS).map(ask) {
            let answer = answer?;
            if answer.0 < quickest.0 {
                quickest = answer;
            }
        }
        Ok(ServiceClock { state: Mutex::new(quickest.1) })
    }

    /// Sets the time by which this clock is behind the database's clock. The database's clock showed `time` at a
    /// moment between `asked` and `answered`, which are times since the host's boot.
    pub fn compare(&self, asked: Duration, time: NaiveDateTime, answered: Duration) {
        let mut state = self.state.lock();
        let now = state.at(answered);
        let middle = asked + answered.saturating_sub(asked) / 2;
        let since = TimeDelta::from_std(answered.saturating_sub(middle)).unwrap_or_default();
        let behind = time + since - now.time;
        *state = now;
        if behind.abs() <= since {
            // The difference of the clocks is at most half the duration of the query, so the difference may be an
            // error of measurement.
            state.behind = TimeDelta::zero();
        } else if behind.abs() < PLAINLY_WRONG {
            state.behind = behind;
        } else {
            log::error!(
                "the database's clock was set from {} to {time}, and the service's clock follows",
                now.time
            );
            *state = State { up: answered, time: time + since, behind: TimeDelta::zero() };
        }
    }
}

impl Clock for ServiceClock {
    fn now(&self) -> NaiveDateTime {
        let mut state = self.state.lock();
        *state = state.at(up());
        whole_micros(state.time)
    }
}

fn whole_micros(time: NaiveDateTime) -> NaiveDateTime {
    chrono::SubsecRound::trunc_subsecs(time, 6)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const START: u64 = 1_000;
    const MINUTE: TimeDelta = TimeDelta::minutes(1);

    fn noon() -> NaiveDateTime {
        "2026-11-30T12:00:00".parse().unwrap()
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(START + number)
    }

    fn clock() -> ServiceClock {
        ServiceClock { state: Mutex::new(State { up: seconds(0), time: noon(), behind: TimeDelta::zero() }) }
    }

    /// Returns the time that the clock shows `number` seconds after the start, as seconds since noon.
    fn shows(clock: &ServiceClock, number: u64) -> f64 {
        let state = clock.state.lock().at(seconds(number));
        (state.time - noon()).as_seconds_f64()
    }

    #[test]
    fn it_begins_with_the_databases_time_and_goes_on_by_itself() {
        // The database's time is noon on a fixed day, which is not the time of this host.
        let clock = ServiceClock::start(|| Ok::<_, ()>(noon())).unwrap();
        let (first, second) = (clock.now(), clock.now());
        assert!(first >= noon() && first < noon() + MINUTE && second >= first);
        assert_eq!(ServiceClock::start(|| Err("away")).unwrap_err(), "away");
    }

    #[test]
    fn it_begins_with_the_quickest_answer() {
        // The first answer is late and a minute off, the others come at once.
        let questions = AtomicU32::new(0);
        let clock = ServiceClock::start(|| {
            if questions.fetch_add(1, Ordering::Relaxed) > 0 {
                return Ok::<_, ()>(noon());
            }
            std::thread::sleep(Duration::from_millis(100));
            Ok(noon() - MINUTE)
        });
        assert!(clock.unwrap().now() >= noon());
        assert_eq!(questions.into_inner(), QUESTIONS);
    }

    #[test]
    fn it_follows_the_databases_clock_slowly_and_ends() {
        // The database's clock is five minutes ahead, because somebody set it.
        let ahead = clock();
        ahead.compare(seconds(100), noon() + TimeDelta::seconds(400), seconds(100));
        assert!((shows(&ahead, 100) - 100.0).abs() < 1e-6);
        assert!((shows(&ahead, 700) - 700.3).abs() < 1e-6);
        // Ten days later the clock has caught up by exactly five minutes.
        assert!((shows(&ahead, 864_000) - 864_300.0).abs() < 1e-6);
        // The database's clock is five minutes behind.
        let back = clock();
        back.compare(seconds(100), noon() - TimeDelta::seconds(200), seconds(100));
        assert!((shows(&back, 700) - 694.0).abs() < 1e-6);
        assert!((shows(&back, 86_400) - 86_100.0).abs() < 1e-6);
    }

    #[test]
    fn it_never_goes_back() {
        let clock = clock();
        let mut last = 0.0;
        for number in 1..2_000 {
            let off = TimeDelta::seconds(if number % 7 == 0 { -5_000 } else { 5_000 });
            let time = noon() + TimeDelta::seconds(number as i64) + off;
            clock.compare(seconds(number), time, seconds(number));
            let now = shows(&clock, number);
            assert!(now > last, "{now} after {last}");
            // After each second, the clock is wrong by at most one part in 100 of the time that has passed.
            assert!((now - number as f64).abs() <= number as f64 / 100.0 + 1e-6, "{now} at {number}");
            last = now;
        }
    }

    #[test]
    fn an_answer_that_took_long_says_little() {
        let clock = clock();
        clock.compare(seconds(10), noon() + TimeDelta::seconds(13), seconds(20));
        assert!((shows(&clock, 10_000) - 10_000.0).abs() < 1e-6);
        // This query took no time, so the difference is exact: the service's clock is seven seconds ahead.
        clock.compare(seconds(10_000), noon() + TimeDelta::seconds(9_993), seconds(10_000));
        assert!((shows(&clock, 20_000) - 19_993.0).abs() < 1e-6);
    }

    #[test]
    fn a_clock_that_was_plainly_wrong_is_left() {
        let clock = clock();
        let right = noon() + TimeDelta::days(20_000);
        clock.compare(seconds(10), right, seconds(10));
        assert_eq!(clock.state.lock().at(seconds(11)).time, right + TimeDelta::seconds(1));
    }
}
