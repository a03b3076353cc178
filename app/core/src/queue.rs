//! The queue of jobs as pages and the REST interface show it. Plain data.

use crate::people::Role;
use serde::{Deserialize, Serialize};

/// A job: work that waits, is done or was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name, of kind and key.
    pub name: String,
    /// Kind of the work, such as `evaluate`.
    pub kind: String,
    /// What it is called.
    pub title: String,
    /// `queued`, `running`, `finished`, `failed` or `cancelled`.
    pub state: String,
    /// Number of its present or last claim; 0 before the first.
    pub attempt: i64,
    /// Who works on it, or did last.
    pub worker: Option<String>,
    /// What its worker does.
    pub stage: String,
    /// How much of that is done.
    pub done: i64,
    /// Of how much.
    pub total: i64,
    /// The highest is done first.
    pub priority: i64,
    /// Workers of which pool may take it.
    pub pool: String,
    /// Who asked for it.
    pub asked_by: String,
    /// When, in seconds since 1970, UTC.
    pub asked_at: i64,
    /// When it was claimed last.
    pub claimed_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// Who asked that it stops.
    pub cancel_by: Option<String>,
    /// Why the last attempt ended that did not finish.
    pub error: Option<String>,
}

impl Job {
    /// Whether it may be taken back or asked to stop.
    #[must_use]
    pub fn can_be_cancelled(&self) -> bool {
        matches!(&*self.state, "queued" | "running") && self.cancel_by.is_none()
    }

    /// Whether it may wait again.
    #[must_use]
    pub fn can_be_retried(&self) -> bool {
        matches!(&*self.state, "failed" | "cancelled")
    }

    /// Whether somebody of this name and role may do either: members with their own, admins with all.
    #[must_use]
    pub fn is_in_reach(&self, name: &str, role: Option<Role>) -> bool {
        role == Some(Role::Admin) || (role == Some(Role::Member) && self.asked_by == name)
    }
}

/// Who does jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its name.
    pub name: String,
    /// Name of the machine.
    pub host: String,
    /// Where it computes.
    pub device: String,
    /// Version of its program.
    pub version: String,
    /// Pools whose jobs it takes, separated by commas.
    pub pools: String,
    /// When it was last heard of, in seconds since 1970, UTC.
    pub seen_at: i64,
    /// Whether it finishes what it has and takes nothing more.
    pub draining: bool,
    /// Name of the job that it has.
    pub job: Option<String>,
}

/// Which evaluations are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Keys of encoders.
    pub encoders: Vec<String>,
    /// Keys of tasks.
    pub tasks: Vec<String>,
    /// Seeds of heads; 0 if there are none.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// Whether neighbours and a regression are computed, too.
    #[serde(default)]
    pub probes: bool,
    /// The highest is done first.
    #[serde(default)]
    pub priority: i64,
    /// Whether what has scores is done again.
    #[serde(default)]
    pub again: bool,
}

/// What a grid would be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Names of its jobs, with what each is called.
    pub jobs: Vec<(String, String)>,
    /// What is not there, a sentence each.
    pub missing: Vec<String>,
    /// Seconds that it takes if nothing is there yet; estimated from what encoders took here for a few pictures.
    pub seconds: f64,
    /// Bytes of features that are kept for it.
    pub bytes: u64,
    /// How many of its jobs wait or run already.
    pub waiting: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_reach_their_own_jobs_and_admins_all() {
        let job = Job { asked_by: "anna".to_owned(), state: "running".to_owned(), ..Job::default() };
        assert!(job.is_in_reach("anna", Some(Role::Member)) && job.is_in_reach("bert", Some(Role::Admin)));
        assert!(!job.is_in_reach("bert", Some(Role::Member)) && !job.is_in_reach("anna", Some(Role::Viewer)));
        assert!(!job.is_in_reach("anna", None));
        assert!(job.can_be_cancelled() && !job.can_be_retried());
        assert!(!Job { cancel_by: Some("anna".to_owned()), ..job }.can_be_cancelled(), "it was asked before");
    }

    #[test]
    fn a_grid_with_a_misspelt_field_is_refused() {
        let read = |text: &str| serde_json::from_str::<Grid>(text);
        let grid = read("{\"encoders\":[\"Random\"],\"tasks\":[\"SceneCount\"]}").expect("enough is said");
        assert!(grid.seeds.is_empty() && !grid.again && grid.priority == 0);
        assert!(read("{\"encoders\":[],\"tasks\":[],\"seed\":1}").is_err_and(|e| e.to_string().contains("seed")));
    }
}
