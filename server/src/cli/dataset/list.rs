//! `virboard dataset list`: what is here of each data set, and what is wrong with it.

use crate::cli::Failure;
use crate::cli::bars::Bars;
use crate::cli::evaluate::ProtocolName;
use crate::service::Settings;
use crate::service::datasets::{Report, report};
use crate::service::own_data::added;
use clap::Args;

/// Options of the listing.
#[derive(Debug, Args)]
pub struct List {
    /// Keys of tasks or names of data sets that were added; without any, all
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

impl List {
    /// Reads every sample of one task.
    pub fn checking(task: String, json: bool) -> Self {
        Self { tasks: vec![task], check: true, protocol: ProtocolName::Standard, json }
    }

    /// Prints the reports; fails if a data set that was named is not usable.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let named = !self.tasks.is_empty();
        let catalogue = settings.catalogue();
        let tasks = if named {
            let mut tasks = Vec::new();
            for name in &self.tasks {
                match added(&settings, name) {
                    Some(set) => tasks.extend(set.keys().filter_map(|key| catalogue.task(key).cloned())),
                    None => tasks.push(catalogue.task_named(name)?.clone()),
                }
            }
            tasks
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
    if let Some(folder) = &report.folder {
        println!("  folder   {}", folder.display());
    }
    for (what, text) in [("source", &report.url), ("licence", &report.licence), ("note", &report.note)] {
        if let Some(text) = text.as_ref().filter(|t| !t.is_empty()) {
            println!("  {what:7}  {text}");
        }
    }
    for (what, sentences) in [("left out", &report.left_out), ("warning", &report.warnings)] {
        for sentence in sentences {
            println!("  {what:8} {sentence}");
        }
    }
    for problem in report.problems.iter().take(SHOWN) {
        println!("  problem  {problem}");
    }
    if report.problems.len() > SHOWN {
        println!("  and {} more", report.problems.len() - SHOWN);
    }
}
