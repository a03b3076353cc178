//! `virboard datasets`: what is here of each data set, and what is wrong with it.

use super::Failure;
use super::bars::Bars;
use super::evaluate::ProtocolName;
use crate::service::Settings;
use crate::service::datasets::{Report, report};
use clap::Args;

/// Options of the listing.
#[derive(Debug, Args)]
pub struct Datasets {
    /// Keys of tasks; without any, all
    tasks: Vec<String>,
    /// Read every sample, which finds damaged pictures and truths of another size
    #[arg(long)]
    check: bool,
    /// Whose truths are looked for
    #[arg(long, default_value = "standard")]
    protocol: ProtocolName,
    /// Print the reports as JSON
    #[arg(long)]
    json: bool,
}

/// Problems that are printed of one data set.
const SHOWN: usize = 20;

impl Datasets {
    /// Prints the reports; fails if a data set that was named is not usable.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let named = !self.tasks.is_empty();
        let catalogue = settings.catalogue();
        let tasks = if named {
            self.tasks.iter().map(|name| catalogue.task_named(name).cloned()).collect::<Result<Vec<_>, _>>()?
        } else {
            catalogue.tasks().to_vec()
        };
        let protocol = self.protocol.protocol();
        let work = move || -> Vec<Report> {
            tasks.iter().map(|t| report(&settings, t, protocol, self.check, &Bars::default())).collect()
        };
        let reports = tokio::task::spawn_blocking(work).await?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&reports)?);
        } else {
            for report in &reports {
                print(report, named);
            }
        }
        let broken: Vec<&str> = reports.iter().filter(|r| !r.problems.is_empty()).map(|r| &*r.task).collect();
        if named && !broken.is_empty() {
            return Err(format!("problems with {}; they are listed above", broken.join(", ")).into());
        }
        Ok(())
    }
}

fn print(report: &Report, named: bool) {
    let found = match (report.train, report.test) {
        (0, 0) => "not here".to_owned(),
        (train, test) => format!("{train} train, {test} test"),
    };
    let problems = match report.problems.len() {
        0 => String::new(),
        _ if report.train + report.test == 0 && !named => String::new(),
        1 => ", 1 problem".to_owned(),
        n => format!(", {n} problems"),
    };
    println!("{:32} {found}{problems}", report.task);
    if !named {
        return;
    }
    if let (Some(folder), Some(url)) = (&report.folder, report.url) {
        println!("  folder   {}", folder.display());
        println!("  source   {url}");
        println!("  licence  {}", report.licence.unwrap_or_default());
        println!("  note     {}", report.note.unwrap_or_default());
    }
    for problem in report.problems.iter().take(SHOWN) {
        println!("  problem  {problem}");
    }
    if report.problems.len() > SHOWN {
        println!("  and {} more", report.problems.len() - SHOWN);
    }
}
