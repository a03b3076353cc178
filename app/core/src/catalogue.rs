//! What can be compared on what: encoders, end tasks and suites as rows of a value.
//!
//! Rows are built in ([`Catalogue::builtin`]) or added, most of them by files in the data folder.
//! All have one form, TOML, which [`rows`] reads. Nothing in here touches a file.

pub mod architecture;
pub mod encoder;
mod licence;
pub mod metric;
mod name;
pub mod published;
pub mod rows;
mod suite;
pub mod task;

pub use name::{nearest, slug};
pub use rows::Mistake;
pub use suite::{MINIATURE, Suite};

use crate::run::Score;
use encoder::{Encoder, EncoderRole};
use name::{is_safe, is_same};
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};
use task::Task;

/// Encoders, tasks and suites, each in the order in which they are listed. Keys are unique.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    encoders: Vec<Arc<Encoder>>,
    tasks: Vec<Arc<Task>>,
    suites: Vec<Suite>,
}

/// A name that is not in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// `encoder`, `task` or `suite`.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// What may have been meant.
    pub nearest: Option<String>,
    /// All keys that there are.
    pub known: Vec<String>,
}

impl Unknown {
    /// A key that is no encoder's.
    #[must_use]
    pub fn encoder(catalogue: &Catalogue, key: &str) -> Self {
        Self::among("encoder", key, catalogue.encoders.iter().map(|e| (&*e.key, &*e.name)))
    }

    /// A key that is no task's.
    #[must_use]
    pub fn task(catalogue: &Catalogue, key: &str) -> Self {
        Self::among("task", key, catalogue.tasks.iter().map(|t| (&*t.key, &*t.name)))
    }

    fn among<'a>(what: &'static str, name: &str, known: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let by_key = nearest(name, known.clone().map(|k| k.0));
        let by_name = || {
            let name = nearest(name, known.clone().map(|k| k.1))?;
            known.clone().find(|k| k.1 == name).map(|k| k.0)
        };
        Self {
            what,
            name: name.to_owned(),
            nearest: by_key.or_else(by_name).map(str::to_owned),
            known: known.map(|k| k.0.to_owned()).collect(),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {} `{}`; ", self.what, self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "did you mean `{nearest}`?"),
            None => write!(f, "known are {}", self.known.join(", ")),
        }
    }
}

impl std::error::Error for Unknown {}

impl Catalogue {
    /// The paper's encoders and tasks, and what ships with Virboard.
    #[must_use]
    pub fn builtin() -> Arc<Self> {
        static BUILTIN: OnceLock<Arc<Catalogue>> = OnceLock::new();
        let read = || {
            let mut all = Self::default();
            let added = rows::BUILTIN.into_iter().try_for_each(|text| all.add_tables(text));
            added.expect("the tables are part of the program, and the tests read them");
            Arc::new(all)
        };
        BUILTIN.get_or_init(read).clone()
    }

    /// All encoders.
    #[must_use]
    pub fn encoders(&self) -> &[Arc<Encoder>] {
        &self.encoders
    }

    /// All end tasks.
    #[must_use]
    pub fn tasks(&self) -> &[Arc<Task>] {
        &self.tasks
    }

    /// All suites.
    #[must_use]
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }

    /// The encoder with this key.
    #[must_use]
    pub fn encoder(&self, key: &str) -> Option<&Arc<Encoder>> {
        self.encoders.iter().find(|e| e.key == key)
    }

    /// The end task with this key.
    #[must_use]
    pub fn task(&self, key: &str) -> Option<&Arc<Task>> {
        self.tasks.iter().find(|t| t.key == key)
    }

    /// The suite with this key.
    #[must_use]
    pub fn suite(&self, key: &str) -> Option<&Suite> {
        self.suites.iter().find(|s| s.key == key)
    }

    /// The encoder that a person names: by its key, or by key or name in any spelling.
    ///
    /// # Errors
    /// [`Unknown`], with what may have been meant.
    pub fn encoder_named(&self, name: &str) -> Result<&Arc<Encoder>, Unknown> {
        let loosely = |e: &&Arc<Encoder>| is_same(&e.key, name) || is_same(&e.name, name);
        let found = self.encoder(name).or_else(|| self.encoders.iter().find(loosely));
        found.ok_or_else(|| Unknown::encoder(self, name))
    }

    /// The task that a person names: by its key, by key or name in any spelling, or by a name
    /// that ViRB gave it once.
    ///
    /// # Errors
    /// [`Unknown`], with what may have been meant.
    pub fn task_named(&self, name: &str) -> Result<&Arc<Task>, Unknown> {
        let loosely = |t: &&Arc<Task>| {
            is_same(&t.key, name) || is_same(&t.name, name) || t.aliases.iter().any(|a| is_same(a, name))
        };
        let found = self.task(name).or_else(|| self.tasks.iter().find(loosely));
        found.ok_or_else(|| Unknown::task(self, name))
    }

    /// The tasks of a suite, by category.
    #[must_use]
    pub fn tasks_of(&self, suite: &str) -> Vec<Arc<Task>> {
        let mut tasks: Vec<_> = self.tasks.iter().filter(|t| t.suite == suite).cloned().collect();
        tasks.sort_by_key(|t| t.category);
        tasks
    }

    /// The encoders of a suite: those that are listed in it, and those with a score in it. One of
    /// [`EncoderRole::Today`] is listed only where its weights are here.
    #[must_use]
    pub fn encoders_of(&self, suite: &str, results: &[Score], here: impl Fn(&str) -> bool) -> Vec<Arc<Encoder>> {
        let tasks: HashSet<&str> = self.tasks.iter().filter(|t| t.suite == suite).map(|t| &*t.key).collect();
        let scored: HashSet<&str> = results.iter().filter(|r| tasks.contains(&*r.task)).map(|r| &*r.encoder).collect();
        let listed =
            |e: &Encoder| e.suites.iter().any(|s| s == suite) && (e.role != EncoderRole::Today || here(&e.key));
        self.encoders.iter().filter(|e| listed(e) || scored.contains(&*e.key)).cloned().collect()
    }

    /// The first suite with a score; the first of all if none has any.
    #[must_use]
    pub fn suite_with_scores(&self, results: &[Score]) -> Option<&Suite> {
        let scored =
            |s: &&Suite| self.tasks.iter().any(|t| t.suite == s.key && results.iter().any(|r| r.task == t.key));
        self.suites.iter().find(scored).or(self.suites.first())
    }

    fn add_tables(&mut self, text: &str) -> Result<(), Mistake> {
        let tables: rows::Tables = rows::read(text)?;
        tables.suites.into_iter().try_for_each(|s| self.add_suite(s))?;
        tables.tasks.into_iter().try_for_each(|t| self.add_task(t))?;
        tables.encoders.into_iter().try_for_each(|e| self.add_encoder(e))
    }

    /// Adds an encoder.
    ///
    /// # Errors
    /// [`Mistake`] for a key that is taken or cannot stand in addresses. Nothing is added then.
    pub fn add_encoder(&mut self, mut encoder: Encoder) -> Result<(), Mistake> {
        self.check_key(&encoder.key)?;
        if let Some(stranger) = encoder.suites.iter().find(|s| self.suite(s).is_none()) {
            let known: Vec<&str> = self.suites.iter().map(|s| &*s.key).collect();
            return Err(Mistake::of(format!("there is no suite `{stranger}`; known are {}", known.join(", "))));
        }
        if encoder.name.trim().is_empty() {
            encoder.name.clone_from(&encoder.key);
        }
        self.encoders.push(Arc::new(encoder));
        Ok(())
    }

    /// Adds a task, and its suite if that is new.
    ///
    /// # Errors
    /// [`Mistake`] for a key that is taken or cannot stand in addresses. Nothing is added then.
    pub fn add_task(&mut self, mut task: Task) -> Result<(), Mistake> {
        self.check_key(&task.key)?;
        if task.name.trim().is_empty() {
            task.name.clone_from(&task.key);
        }
        let suite = self.suites.iter().find(|s| s.key == task.suite || is_same(&s.name, &task.suite));
        task.suite = if let Some(suite) = suite {
            suite.key.clone()
        } else {
            let suite = Suite::named(&task.suite);
            let key = suite.key.clone();
            self.add_suite(suite)?;
            key
        };
        self.tasks.push(Arc::new(task));
        Ok(())
    }

    /// Adds a suite.
    ///
    /// # Errors
    /// [`Mistake`] for a key that is taken or cannot stand in addresses. Nothing is added then.
    pub fn add_suite(&mut self, suite: Suite) -> Result<(), Mistake> {
        if !is_safe(&suite.key) {
            return Err(unsafe_key(&suite.key));
        }
        if self.suite(&suite.key).is_some() {
            return Err(Mistake::of(format!("there is a suite `{}` already; choose another key", suite.key)));
        }
        self.suites.push(suite);
        self.suites.sort_by_key(|s| s.order);
        Ok(())
    }

    fn check_key(&self, key: &str) -> Result<(), Mistake> {
        if !is_safe(key) {
            return Err(unsafe_key(key));
        }
        let encoder = self.encoders.iter().find(|e| e.key.eq_ignore_ascii_case(key)).map(|e| (&e.name, "encoder"));
        let task = || self.tasks.iter().find(|t| t.key.eq_ignore_ascii_case(key)).map(|t| (&t.name, "task"));
        match encoder.or_else(task) {
            Some((name, what)) => {
                Err(Mistake::of(format!("the key `{key}` is taken by the {what} {name}; choose another key")))
            }
            None => Ok(()),
        }
    }
}

fn unsafe_key(key: &str) -> Mistake {
    Mistake::of(format!(
        "`{key}` cannot be a key, which stands in addresses and file names; use 1 to 63 letters, digits, `_` and `-`, a letter or digit first"
    ))
}

/// The 1000 class names of ImageNet-1k in label order, as torchvision spells them.
pub fn imagenet_classes() -> impl Iterator<Item = &'static str> {
    include_str!("catalogue/imagenet_classes.txt").lines()
}

#[cfg(test)]
mod tests {
    use super::encoder::EncoderRole;
    use super::task::{Category, TaskRole};
    use super::*;

    #[test]
    fn counts_are_the_papers() {
        let all = Catalogue::builtin();
        let role = |r| all.encoders().iter().filter(|e| e.role == r).count();
        assert_eq!(role(EncoderRole::Paper), 30);
        assert_eq!(role(EncoderRole::Baseline) + role(EncoderRole::Extra), 3);
        let paper: Vec<_> = all.tasks().iter().filter(|t| t.role == TaskRole::Paper).collect();
        assert_eq!(paper.len(), 20);
        let category = |c| paper.iter().filter(|t| t.category == c).count();
        assert_eq!(category(Category::ImageSemantic), 8);
        assert_eq!(category(Category::ImageStructural), 4);
        assert_eq!(category(Category::PixelSemantic), 3);
        assert_eq!(category(Category::PixelStructural), 5);
        assert_eq!((all.tasks_of("paper").len(), all.tasks_of("miniature").len()), (21, 5));
        assert!(all.encoders().iter().all(|e| e.suites.iter().all(|s| all.suite(s).is_some())));
    }

    #[test]
    fn keys_that_are_taken_or_unsafe_are_refused_and_nothing_is_added() {
        let mut all = (*Catalogue::builtin()).clone();
        let before = all.clone();
        for (key, says) in [
            ("SWAV_800", "taken by the encoder SwAV"),
            ("pets", "taken by the task Pets"),
            ("a/b", "cannot be a key"),
            ("", "cannot be a key"),
        ] {
            let row = rows::encoder(&format!("key = \"{key}\"")).expect("it is of the right form");
            let said = all.add_encoder(row).expect_err("refused").to_string();
            assert!(said.contains(says), "{said}");
            assert_eq!(all, before);
        }
    }

    #[test]
    fn people_are_understood_or_asked_what_they_meant() {
        let all = Catalogue::builtin();
        let task = |name: &str| all.task_named(name).map(|t| t.key.clone()).map_err(|e| e.to_string());
        assert_eq!(task("pets"), Ok("Pets".to_owned()));
        assert_eq!(task("Pets Cls."), Ok("Pets".to_owned()));
        assert_eq!(task("Pets-Detection"), Ok("PetsDetection".to_owned()));
        assert_eq!(task("CLEVERNumObjects"), Ok("CLEVRNumObjects".to_owned()));
        assert_eq!(task("Petz"), Err("there is no task `Petz`; did you mean `Pets`?".to_owned()));
        assert!(task("COCODetection").is_err_and(|e| e.contains("known are Imagenet, ")));
        assert_eq!(all.encoder_named("swav imagenet 800").map(|e| e.key.clone()), Ok("SWAV_800".to_owned()));
    }

    #[test]
    fn published_points_belong_to_tasks() {
        for p in &published::PUBLISHED {
            let (low, high) = p.range();
            assert!(Catalogue::builtin().task(p.task).is_some(), "{}", p.task);
            assert!(low > 0.0 && high < 1.0 && low <= high, "{}: {low} to {high}", p.task);
        }
    }

    #[test]
    fn imagenet_has_a_thousand_names() {
        assert_eq!(imagenet_classes().count(), 1000);
        assert_eq!(imagenet_classes().nth(285), Some("Egyptian cat"));
    }
}
