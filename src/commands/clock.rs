//! A clock that also counts the time while the host is suspended. The clock of tokio does not count that
//! time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The longest sleep before the clock is read again, on systems whose timers do not count suspensions.
const LOOKING: Duration = Duration::from_millis(100);

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
// On other systems, such as macOS, the monotonic clock counts the time of a suspension.
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// A moment in time, stored as the time since the host's boot, including suspensions. All processes of a host
/// measure the same moments, so a moment can be sent to another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(Duration);

impl Moment {
    /// Returns the present moment.
    pub fn now() -> Moment {
        let time = clock_gettime(CLOCK);
        Moment(Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0)))
    }

    /// Returns the moment that is `time` later, or `None` if the clock can't express that moment.
    pub fn after(self, time: Duration) -> Option<Moment> {
        self.0.checked_add(time).map(Moment)
    }

    /// Returns the moment that is `time` earlier, but no moment before the host's boot.
    pub fn before(self, time: Duration) -> Moment {
        Moment(self.0.saturating_sub(time))
    }

    /// Returns the time until this moment, or zero if this moment has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_sub(Moment::now().0)
    }

    /// Returns whether this moment has passed.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// Sleeps until this moment. If the host is suspended until after this moment, the sleep ends when the
    /// host resumes.
    pub async fn sleep(self) {
        while !self.is_over() {
            if self.sleep_by_timer().await.is_err() {
                tokio::time::sleep(self.left().min(LOOKING)).await;
            }
        }
    }

    #[cfg(target_os = "linux")]
    async fn sleep_by_timer(self) -> std::io::Result<()> {
        use rustix::time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
            timerfd_settime,
        };
        use tokio::io::Interest;
        use tokio::io::unix::AsyncFd;

        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let seconds = self.0.as_secs().try_into().unwrap_or(i64::MAX);
        let then = Timespec { tv_sec: seconds, tv_nsec: self.0.subsec_nanos().into() };
        timerfd_settime(
            &timer,
            TimerfdTimerFlags::ABSTIME,
            &Itimerspec { it_interval: never, it_value: then },
        )?;
        #[expect(deprecated, reason = "it is unsound for descriptors that are not owned; this one is")]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        timer.readable().await.map(drop)
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_async, reason = "on Linux it waits")]
    async fn sleep_by_timer(self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_before_and_after_each_other() {
        let now = Moment::now();
        let later = now.after(Duration::from_secs(60)).unwrap();
        assert!(now.is_over() && !later.is_over() && now < later);
        assert_eq!(later.before(Duration::from_secs(60)), now);
        assert!(now.before(Duration::MAX).is_over());
        assert_eq!(now.after(Duration::MAX), None);
        assert_eq!(now.left(), Duration::ZERO);
        let told: Moment = serde_json::from_str(&serde_json::to_string(&later).unwrap()).unwrap();
        assert_eq!(told, later);
    }

    /// `/proc/uptime` shows the time since the host's boot, including suspensions.
    #[cfg(target_os = "linux")]
    #[test]
    fn it_is_the_clock_of_the_boot() {
        let uptime = || {
            let text = std::fs::read_to_string("/proc/uptime").unwrap();
            Duration::from_secs_f64(text.split(' ').next().unwrap().parse().unwrap())
        };
        let hundredth = Duration::from_millis(10);
        let (before, now, after) = (uptime(), Moment::now().0, uptime());
        assert!(before <= now && now <= after + hundredth, "{before:?} {now:?} {after:?}");
    }

    #[tokio::test]
    async fn who_sleeps_wakes_at_the_moment() {
        Moment::now().before(Duration::from_secs(1)).sleep().await;
        let soon = Moment::now().after(Duration::from_millis(30)).unwrap();
        soon.sleep().await;
        assert!(soon.is_over());
        let far = Moment::now().after(Duration::from_secs(u64::MAX / 2)).unwrap();
        let woke = tokio::time::timeout(Duration::from_millis(20), far.sleep()).await;
        assert!(woke.is_err());
    }
}
