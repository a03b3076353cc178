//! From what is asked to who computes it: names, weights and heads, looked up before any work.

use crate::service::{Result, ServiceError, Virboard};
use std::sync::Arc;
use virboard_core::catalogue::encoder::Encoder;

/// What is asked about a photo.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Keys of encoders.
    pub encoders: Vec<String>,
    /// Keys of tasks; none for every task for which an encoder has a head.
    pub tasks: Vec<String>,
    /// Hash of a photo that was taken in before: the second one of tasks about the motion
    /// between two.
    pub second: Option<String>,
}

/// Encoders, each with the tasks that it is asked for and the versions of their heads.
pub type Plan = Vec<(Arc<Encoder>, Vec<Asked>)>;

/// A task that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its key.
    pub task: String,
    /// Photos that it looks at: 1 or 2.
    pub images: u32,
    /// Names the head's weights, and the second photo where there is one.
    pub version: String,
}

impl Virboard {
    /// Encoders with their tasks; every name is checked before any work is done.
    pub(super) async fn plan(&self, question: Question) -> Result<Plan> {
        let app = self.clone();
        // Looks for files, and hashes heads that are new.
        tokio::task::spawn_blocking(move || app.plan_of(&question)).await?
    }

    fn plan_of(&self, question: &Question) -> Result<Plan> {
        let Question { encoders, tasks, second } = question;
        if encoders.is_empty() {
            return Err(ServiceError::Request("Name at least one encoder in the field `encoder`.".to_owned()));
        }
        let catalogue = self.catalogue();
        for task in tasks {
            let entry = catalogue.task(task).ok_or_else(|| ServiceError::UnknownTask(task.clone()))?;
            match (entry.images, second.as_deref()) {
                (1, _) | (2, Some(_)) => {}
                (2, None) => {
                    return Err(ServiceError::Request(format!(
                        "{} is about two photos. Name the second one by its hash in the field `second`.",
                        entry.name
                    )));
                }
                (n, _) => {
                    return Err(ServiceError::Request(format!(
                        "{} looks at {n} pictures; photos cannot be tried with it.",
                        entry.name
                    )));
                }
            }
        }
        let mut plan: Plan = Vec::new();
        for key in encoders {
            let encoder = catalogue.encoder(key).ok_or_else(|| ServiceError::UnknownEncoder(key.clone()))?;
            if plan.iter().any(|(e, _)| e.key == encoder.key) {
                continue;
            }
            if !self.registry.available(key) {
                return Err(ServiceError::NoWeights(encoder.name.clone()));
            }
            let images = |task: &str| catalogue.task(task).map_or(1, |t| t.images);
            let most = if second.is_some() { 2 } else { 1 };
            let mut wanted = if tasks.is_empty() { self.heads.tasks(encoder, &catalogue) } else { tasks.clone() };
            wanted.retain(|t| images(t) <= most);
            let mut versioned: Vec<Asked> = Vec::new();
            for task in wanted {
                let head = self
                    .heads
                    .version(&encoder.key, &task)
                    .ok_or_else(|| ServiceError::NoHead { encoder: key.clone(), task: task.clone() })?;
                let images = images(&task);
                // Answers in another precision are other answers.
                let precision = self.registry.precision_of(encoder)?;
                let head = if precision.is_default() { head } else { format!("{head}{}", precision.name()) };
                let version = match second {
                    Some(sha256) if images == 2 => format!("{head}{}", sha256.get(..16).unwrap_or_default()),
                    _ => head,
                };
                if !versioned.iter().any(|a| a.task == task) {
                    versioned.push(Asked { task, images, version });
                }
            }
            plan.push((encoder.clone(), versioned));
        }
        Ok(plan)
    }
}
