//! The time by which tickets expire.
//!
//! A lease counts the time that passes. The service begins with the time of the database, which all replicas
//! share. From then on it counts the time that passes on its host, including sleep. So the host's wall clock
//! may be set to any time. If the database's clock differs later (one of the two clocks runs fast, or was set),
//! the service's clock follows it slowly.

use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use crate::store;

/// A clock for the expiry of tickets.
pub trait Clock: Send + Sync {
    /// The present time, in UTC and in whole microseconds, which all databases can store.
    fn now(&self) -> NaiveDateTime;
}

/// The host's wall clock, which may jump.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> NaiveDateTime {
        store::now()
    }
}

/// The clock is hastened by 1 part in this number. Clocks of hosts may differ by that much anyway, and no lease
/// ends early by more.
const HASTENED: i32 = 2_000;
/// The clock is slowed by 1 part in this number. Leases last longer by that part.
const SLOWED: i32 = 100;
/// The difference from which on the service's clock jumps. A clock does not drift so far, so one of the two
/// clocks was wrong. A jump is better than a wrong time for long.
const PLAINLY_WRONG: TimeDelta = TimeDelta::days(1);

/// The service's clock: the database's time at the start, plus the time that has passed since.
#[derive(Debug)]
pub struct ServiceClock {
    state: Mutex<State>,
}

/// The last time of the clock, and its difference from the database's clock.
#[derive(Clone, Copy, Debug)]
struct State {
    /// The time since the host's start when the clock showed `time`.
    up: Duration,
    /// The time that the clock showed.
    time: NaiveDateTime,
    /// The lag behind the database's clock. It is negative if the clock is ahead.
    behind: TimeDelta,
}

impl State {
    /// The state at this time since the host's start.
    fn at(self, up: Duration) -> State {
        let passed = TimeDelta::from_std(up.saturating_sub(self.up)).unwrap_or_default();
        let made_up = self.behind.clamp(-(passed / SLOWED), passed / HASTENED);
        let time = self.time.checked_add_signed(passed + made_up).unwrap_or(self.time);
        State { up: up.max(self.up), time, behind: self.behind - made_up }
    }
}

impl ServiceClock {
    /// A clock that begins with the time of `database`.
    pub fn start<E>(database: impl FnOnce() -> Result<NaiveDateTime, E>) -> Result<ServiceClock, E> {
        let time = database()?;
        let state = State { up: up(), time, behind: TimeDelta::zero() };
        Ok(ServiceClock { state: Mutex::new(state) })
    }

    /// Compares the clock with the time that the database's clock showed between two moments.
    pub fn compare(&self, asked: Duration, time: NaiveDateTime, answered: Duration) {
        let mut state = self.state.lock();
        let now = state.at(answered);
        let middle = asked + answered.saturating_sub(asked) / 2;
        let since = TimeDelta::from_std(answered.saturating_sub(middle)).unwrap_or_default();
        let behind = time + since - now.time;
        *state = now;
        if behind.abs() <= since {
            // The difference is no larger than the time that the answer took, so it means nothing.
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

/// The time since the host's start, including sleep. No setting of a clock changes it.
pub fn up() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::Boottime;
    // The monotonic clock of other systems counts the time of a sleep.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    // Neither part is negative.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
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

    /// The time that the clock shows so many seconds after the start, in seconds since noon.
    fn shows(clock: &ServiceClock, number: u64) -> f64 {
        let state = clock.state.lock().at(seconds(number));
        (state.time - noon()).as_seconds_f64()
    }

    #[test]
    fn it_begins_with_the_databases_time_and_goes_on_by_itself() {
        // The database says another time than this host would.
        let clock = ServiceClock::start(|| Ok::<_, ()>(noon())).unwrap();
        let (first, second) = (clock.now(), clock.now());
        assert!(first >= noon() && first < noon() + MINUTE && second >= first);
        assert_eq!(ServiceClock::start(|| Err("away")).unwrap_err(), "away");
    }

    #[test]
    fn it_follows_the_databases_clock_slowly_and_ends() {
        // The database's clock is set forwards by five minutes.
        let ahead = clock();
        ahead.compare(seconds(100), noon() + TimeDelta::seconds(400), seconds(100));
        assert!((shows(&ahead, 100) - 100.0).abs() < 1e-6);
        assert!((shows(&ahead, 700) - 700.3).abs() < 1e-6);
        // Ten days later it is made up, and no more than that.
        assert!((shows(&ahead, 864_000) - 864_300.0).abs() < 1e-6);
        // And backwards.
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
            // An hour of lease is an hour, give or take half a minute.
            assert!((now - number as f64).abs() <= number as f64 / 100.0 + 1e-6, "{now} at {number}");
            last = now;
        }
    }

    #[test]
    fn an_answer_that_took_long_says_little() {
        let clock = clock();
        clock.compare(seconds(10), noon() + TimeDelta::seconds(13), seconds(20));
        assert!((shows(&clock, 10_000) - 10_000.0).abs() < 1e-6);
        // The service's clock was seven seconds ahead; this answer came at once.
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
