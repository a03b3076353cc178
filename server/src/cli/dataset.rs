//! `virboard dataset`: data sets that are here, those that people bring, and what is wrong with them.

mod list;
pub mod pack;

use super::Failure;
use super::bars::Bars;
use crate::service::Settings;
use crate::service::own_data::{Addition, Checked, OwnDataError, add, added, check_named, remove};
use clap::{Args, Subcommand};
use list::List;
use pack::Pack;
use std::path::PathBuf;
use virboard_core::words::counted;
use virboard_lab::data::declared::check::Findings;
use virboard_lab::data::sets::set_of;

/// Options of the command; without a word it lists.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Dataset {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a folder of class folders, or of an index.csv and a dataset.toml
    Add(Add),
    /// Make one of the small data sets, whose splits ship, of a folder with its original pictures
    Pack(Pack),
    /// List data sets: what is here, how many samples, and what is wrong
    List(List),
    /// Read everything of a data set: counts of each class and split, then every problem
    Check(Check),
    /// Remove a data set that was added; its scores and heads stay
    Remove {
        /// Its name
        name: String,
    },
}

/// Options of adding.
#[derive(Debug, Args)]
struct Add {
    /// The folder
    folder: PathBuf,
    /// Its name here; by default the folder's
    #[arg(long)]
    name: Option<String>,
    /// Key of the task that class folders make; by default made from the name
    #[arg(long)]
    key: Option<String>,
    /// Leave the data set where it is and put a link to it
    #[arg(long)]
    link: bool,
}

/// Options of checking.
#[derive(Debug, Args)]
struct Check {
    /// Name of a data set that was added, a folder, or the key of a task
    name: String,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

impl Dataset {
    /// Does what is asked.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        match self.what {
            None => self.list.run(settings).await,
            Some(What::List(list)) => list.run(settings).await,
            Some(What::Add(options)) => tokio::task::spawn_blocking(move || options.run(&settings)).await?,
            Some(What::Pack(options)) => tokio::task::spawn_blocking(move || options.run(&settings)).await?,
            Some(What::Check(options)) => {
                let virb = settings.catalogue().task_named(&options.name).is_ok_and(|t| set_of(&t.key).is_some());
                let own = PathBuf::from(&options.name).is_dir() || added(&settings, &options.name).is_some();
                if virb && !own {
                    return List::checking(options.name, options.json).run(settings).await;
                }
                tokio::task::spawn_blocking(move || options.run(&settings)).await?
            }
            Some(What::Remove { name }) => {
                let keys = remove(&settings, &name)?;
                let of = if keys.is_empty() { String::new() } else { format!(" of {}", keys.join(", ")) };
                println!("{name} was removed; scores and heads{of} stay in the data folder");
                Ok(())
            }
        }
    }
}

impl Add {
    fn run(self, settings: &Settings) -> Result<(), Failure> {
        let addition = Addition { folder: self.folder, name: self.name, key: self.key, link: self.link };
        match add(settings, &addition, &Bars::default()) {
            Ok(added) => {
                print(&added);
                let keys: Vec<&str> = added.set.keys().collect();
                println!(
                    "{} is at {}; `virboard evaluate --encoders all --tasks {}` evaluates on it",
                    added.set.name,
                    added.set.folder.display(),
                    keys.join(",")
                );
                Ok(())
            }
            Err(error) => {
                if let OwnDataError::Problems { findings, .. } = &error {
                    print_findings(findings);
                }
                Err(error.into())
            }
        }
    }
}

impl Check {
    fn run(self, settings: &Settings) -> Result<(), Failure> {
        let checked = check_named(settings, &self.name, &Bars::default())?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&checked.findings)?);
        } else {
            print(&checked);
        }
        match checked.findings.problems.len() {
            0 => Ok(()),
            n => Err(format!("{} with {}, listed above", counted(n, "problem"), self.name).into()),
        }
    }
}

fn print(checked: &Checked) {
    let Checked { set, findings } = checked;
    println!("{}: {}", set.name, set.description.name);
    println!("  licence  {}", set.description.licence);
    for (what, text) in [("source", &set.description.source), ("note", &set.description.note)] {
        if !text.is_empty() {
            println!("  {what:7}  {text}");
        }
    }
    print_findings(findings);
}

fn print_findings(findings: &Findings) {
    for task in &findings.tasks {
        println!("  {}: {} train, {} test", task.task, task.train, task.test);
        for (class, train, test) in &task.classes {
            println!("    {class:30} {train:6} {test:6}");
        }
    }
    for (split, rows) in &findings.unused {
        println!("  unused   {rows} rows of the split `{split}`, which no task names");
    }
    let said = [("left out", &findings.left_out), ("warning", &findings.warnings), ("problem", &findings.problems)];
    for (what, sentences) in said {
        for sentence in sentences {
            println!("  {what}  {sentence}");
        }
    }
}
