//! `virboard worker`: does jobs of the queue.

use super::Failure;
use super::serve::stop;
use crate::service::engine::ANY;
use crate::service::worker::clean_up;
use crate::service::working::{Working, card};
use crate::service::{OpenError, Settings};
use clap::Args;
use std::time::Duration;
use tokio::sync::watch;
use virboard_core::words::counted;

/// Options of a worker.
#[derive(Debug, Args)]
pub struct Worker {
    /// Pools whose jobs it takes
    #[arg(long, value_delimiter = ',', default_value = ANY)]
    pool: Vec<String>,
    /// End after so long without a job, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    idle_exit: Option<Duration>,
    /// What it is called in lists, instead of after its machine and process; no two that work may have one name
    #[arg(long)]
    name: Option<String>,
}

/// A time such as `10m`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no time; write a number with s, m or h, such as 10m");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

impl Worker {
    /// Does jobs until it is told to stop or has waited long enough for one.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let store = settings.store().await?;
        if store.is_read_only() {
            return Err("the data folder is read-only, so that no work can be kept there".into());
        }
        let engine = settings.engine(&store);
        clean_up(&settings, &store, &engine).await?;
        // A device that is not there is told before a job is claimed.
        virboard_nn::device::open(&settings.device).map_err(OpenError::from)?;
        let card = card(self.name, &settings.device, self.pool);
        let working = Working { settings, store: store.clone(), engine, card, idle_exit: self.idle_exit };
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            stop().await;
            let _ = tell.send(true);
        });
        let done = working.run(told).await?;
        store.close().await;
        eprintln!("{} done", counted(done, "job"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "10", "m", "-1m", "1é", "1.5h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
