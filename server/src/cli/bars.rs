//! Progress for people.

use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use virboard_core::run::Epoch;
use virboard_lab::progress::Progress;

/// Progress bars on a terminal, plain lines elsewhere.
#[derive(Default)]
pub struct Bars {
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress for Bars {
    fn begin(&self, step: &str, total: u64) {
        let bar = ProgressBar::new(total).with_message(step.to_owned());
        let style = ProgressStyle::with_template("{msg:60!} {bar:30} {pos:>5}/{len} {eta:>5} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if bar.is_hidden() {
            eprintln!("{step}");
        }
        if let Ok(mut current) = self.bar.lock()
            && let Some(old) = current.replace(bar)
        {
            old.finish_and_clear();
        }
    }

    fn advance(&self, done: u64) {
        if let Ok(bar) = self.bar.lock()
            && let Some(bar) = bar.as_ref()
        {
            bar.set_position(done);
        }
    }

    fn epoch(&self, _member: usize, e: &Epoch, of: u32) {
        let metric = e.test_metric.map_or_else(String::new, |m| format!(", metric {m:.4}"));
        let line = format!("  epoch {}/{}: loss {:.4}{metric}", e.epoch, of, e.train_loss);
        let Ok(bar) = self.bar.lock() else { return };
        match bar.as_ref() {
            Some(bar) if !bar.is_hidden() => bar.set_message(line),
            // Two hundred epochs of a linear head would be two hundred lines.
            _ if of <= 20 || e.epoch.is_multiple_of(20) => eprintln!("{line}"),
            _ => {}
        }
    }

    fn say(&self, sentence: &str) {
        eprintln!("{sentence}");
    }
}
