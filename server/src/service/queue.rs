//! The queue for people who are signed in: what is in it, what they may change, and new evaluations.

use super::engine::{ANY, Asked};
use super::estimate::estimate;
use super::jobs::{self, JobsError};
use super::people::Actor;
use super::plan::{self, PlanError, Request, published_tasks};
use super::{Result, ServiceError, Virboard};
use crate::store::{Event, JobRow, WorkerRow};
use std::collections::HashSet;
use virboard_core::people::Role;
use virboard_core::protocol::Protocol;
use virboard_core::queue::{Grid, Job, Plan, Worker};
use virboard_lab::work;

/// Most jobs that are asked for at once: more than the paper's grid has.
const MOST: usize = 2_000;

impl From<JobsError> for ServiceError {
    fn from(error: JobsError) -> Self {
        match error {
            JobsError::Unknown(_) => Self::NotFound("There is no job of this name. See /queue."),
            JobsError::Ended { .. } | JobsError::NotFailed { .. } => Self::Conflict(error.to_string()),
            JobsError::Engine(error) => Self::internal(error),
        }
    }
}

impl From<PlanError> for ServiceError {
    /// What cannot be planned was asked for wrongly, or is not there: both are for the person to mend.
    fn from(error: PlanError) -> Self {
        Self::Request(error.to_string())
    }
}

/// A job as people see it.
fn shown(row: JobRow) -> Job {
    Job {
        name: row.name,
        kind: row.kind,
        title: row.title,
        state: row.state.name().to_owned(),
        attempt: row.attempt,
        worker: row.worker,
        stage: row.stage,
        done: row.done,
        total: row.total,
        priority: row.priority,
        pool: row.pool,
        asked_by: row.asked_by,
        asked_at: row.asked_at,
        claimed_at: row.claimed_at,
        finished_at: row.finished_at,
        cancel_by: row.cancel_by,
        error: row.error.as_deref().map(super::places::hidden_in),
    }
}

fn worker(row: WorkerRow) -> Worker {
    let WorkerRow { name, host, device, version, pools, seen_at, draining, job } = row;
    Worker { name, host, device, version, pools, seen_at, draining, job }
}

/// A grid that was planned: the work, and what is told of it.
struct Laid {
    jobs: Vec<work::Job>,
    plan: Plan,
}

impl Virboard {
    /// All jobs, those that run first, then those that wait, then the last that ended. Viewers may see them.
    pub async fn jobs(&self, actor: &Actor) -> Result<Vec<Job>> {
        actor.needs(Role::Viewer)?;
        Ok(self.store.jobs().await?.into_iter().map(shown).collect())
    }

    /// A job by its name, and what has happened to it, in order. Viewers may see it.
    pub async fn job(&self, actor: &Actor, name: &str) -> Result<(Job, Vec<Event>)> {
        actor.needs(Role::Viewer)?;
        let row = self.store.job(name).await?;
        let row = row.ok_or(ServiceError::NotFound("There is no job of this name. See /api/v1/jobs."))?;
        Ok((shown(row), self.store.events_of(name).await?))
    }

    /// The workers. Viewers may see them.
    pub async fn workers(&self, actor: &Actor) -> Result<Vec<Worker>> {
        actor.needs(Role::Viewer)?;
        Ok(self.store.workers().await?.into_iter().map(worker).collect())
    }

    /// At most so many events after the one of this number. Viewers may see them.
    pub async fn events(&self, actor: &Actor, after: i64, most: u32) -> Result<Vec<Event>> {
        actor.needs(Role::Viewer)?;
        self.engine.events(after, most).await.map_err(ServiceError::internal)
    }

    /// Number of the last event.
    pub async fn last_event(&self, actor: &Actor) -> Result<i64> {
        actor.needs(Role::Viewer)?;
        Ok(self.store.last_event().await?)
    }

    /// Takes back a job that waits, or asks that a running one stops: one's own as a member, any as an admin.
    pub async fn cancel_job(&self, actor: &Actor, name: &str) -> Result<()> {
        self.own_job(actor, name).await?;
        jobs::cancel(&self.engine, name, actor.name()).await?;
        self.people.note(&actor.entry("job.cancel", name)).await
    }

    /// Lets a job wait again that failed or was cancelled: one's own as a member, any as an admin.
    pub async fn retry_job(&self, actor: &Actor, name: &str) -> Result<()> {
        self.own_job(actor, name).await?;
        jobs::retry(&self.engine, name, actor.name()).await?;
        self.people.note(&actor.entry("job.retry", name)).await
    }

    async fn own_job(&self, actor: &Actor, name: &str) -> Result<()> {
        actor.needs(Role::Member)?;
        let row = self.store.job(name).await?;
        let row = row.ok_or(ServiceError::NotFound("There is no job of this name. See /queue."))?;
        actor.needs_own(&row.asked_by)
    }

    /// Lets a worker finish what it has and take nothing more, or takes that back. For admins.
    pub async fn drain_worker(&self, actor: &Actor, name: &str, draining: bool) -> Result<()> {
        actor.needs(Role::Admin)?;
        if !self.engine.drain(name, draining).await.map_err(ServiceError::internal)? {
            return Err(ServiceError::NotFound("There is no worker of this name. See /queue."));
        }
        let action = if draining { "worker.drain" } else { "worker.resume" };
        self.people.note(&actor.entry(action, name)).await
    }

    /// What a grid of evaluations would be. Nothing is begun. For members.
    pub async fn plan_grid(&self, actor: &Actor, grid: &Grid) -> Result<Plan> {
        actor.needs(Role::Member)?;
        let mut plan = self.lay_out(grid).await?.plan;
        let rows = self.store.jobs().await?;
        let open: HashSet<&str> = rows.iter().filter(|r| r.finished_at.is_none()).map(|r| &*r.name).collect();
        plan.waiting = plan.jobs.iter().filter(|(name, _)| open.contains(&**name)).count();
        Ok(plan)
    }

    /// Puts a grid of evaluations into the queue, all jobs or none. What waits or runs already stays as it is. For members.
    pub async fn launch_grid(&self, actor: &Actor, grid: &Grid) -> Result<Plan> {
        actor.needs(Role::Member)?;
        if self.store.is_read_only() {
            return Err(ServiceError::ReadOnly);
        }
        let Laid { jobs, plan } = self.lay_out(grid).await?;
        let asked = Asked {
            by: actor.name().to_owned(),
            pool: ANY.to_owned(),
            priority: grid.priority,
            anew: grid.again,
            again: true,
        };
        self.engine.offer(&jobs, &asked).await.map_err(ServiceError::internal)?;
        let what = format!("{} jobs: {} on {}", jobs.len(), grid.encoders.join(", "), grid.tasks.join(", "));
        self.people.note(&actor.entry("job.launch", &what)).await?;
        Ok(plan)
    }

    async fn lay_out(&self, grid: &Grid) -> Result<Laid> {
        let seeds = if grid.seeds.is_empty() { vec![0] } else { grid.seeds.clone() };
        if grid.encoders.is_empty() || grid.tasks.is_empty() {
            return Err(ServiceError::Request("Choose at least one encoder and one task.".to_owned()));
        }
        if grid.encoders.len().saturating_mul(grid.tasks.len()).saturating_mul(seeds.len()) > MOST {
            return Err(ServiceError::Request(format!("At most {MOST} jobs are asked for at once; choose fewer.")));
        }
        let (settings, registry, grid) = (self.settings.clone(), self.registry.clone(), grid.clone());
        tokio::task::spawn_blocking(move || {
            let catalogue = registry.catalogue();
            let mut tasks = Vec::new();
            for seed in seeds {
                let seeded = published_tasks(&catalogue, Some(&grid.tasks), seed, Protocol::Standard);
                tasks.extend(seeded.map_err(PlanError::Lab)?);
            }
            let request = Request {
                encoders: Some(grid.encoders),
                tasks,
                skip_missing: true,
                skip_broken: false,
                probes: grid.probes,
            };
            let planned = plan::plan(&settings, &registry, &request)?;
            let estimate = estimate(&registry, &planned)?;
            let jobs: Vec<work::Job> = planned.work.iter().map(work::Job::of).collect::<virboard_lab::Result<_>>()?;
            let plan = Plan {
                jobs: jobs.iter().map(|job| (job.name(), job.title.clone())).collect(),
                missing: planned.missing.iter().map(|m| super::places::hidden_in(m)).collect(),
                seconds: estimate.seconds,
                bytes: estimate.bytes,
                waiting: 0,
            };
            Ok(Laid { jobs, plan })
        })
        .await?
    }
}
